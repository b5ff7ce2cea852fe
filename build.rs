//! Gzips the page's files and the API description, and lists them for `src/web/assets.rs`.
//!
//! Comments and indentation are stripped: they are an eighth of the size. An ETag is a hash of the
//! content, so that it is the same in every build.

use std::{
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = Path::new("src/web/page");
    println!("cargo::rerun-if-changed={}", page.display());
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files: Vec<PathBuf> = fs::read_dir(page)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.sort();
    println!("cargo::rerun-if-changed={OPENAPI}");
    files.push(PathBuf::from(OPENAPI));
    let mut list = String::from("const ASSETS: &[Asset] = &[\n");
    let mut paths = String::new();
    for file in files {
        let name = file.file_name().and_then(|name| name.to_str()).ok_or("a name in UTF-8")?;
        let kind = match file.extension().and_then(|extension| extension.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("json") => "application/json",
            _ => return Err(format!("{name}: unknown file type").into()),
        };
        let text = fs::read_to_string(&file)?;
        let content = match kind {
            "image/svg+xml" | "application/json" => text,
            _ => bare(name, &text)?,
        };
        let content = content.as_bytes();
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let mut compressed = Vec::new();
        zopfli::compress(
            zopfli::Options::default(),
            zopfli::Format::Gzip,
            content,
            &mut compressed,
        )?;
        let gzipped = out.join(format!("{name}.gz"));
        fs::write(&gzipped, compressed)?;
        let address = match name {
            "index.html" => "",
            "openapi.json" => "api/openapi.json",
            name => name,
        };
        if file.starts_with(page) {
            write!(paths, "\"/{address}\", ")?;
        }
        writeln!(
            list,
            "    Asset {{ name: {address:?}, kind: {kind:?}, etag: {etag:?}, gzipped: include_bytes!({gzipped:?}) }},"
        )?;
    }
    writeln!(
        list,
        "];\n\n/// The page's own paths, served without a login.\npub(super) const PATHS: &[&str] = &[{paths}];"
    )?;
    fs::write(out.join("assets.rs"), list)?;
    Ok(())
}

/// Strips indentation, empty lines, and comments on lines of their own.
///
/// # Errors
/// A multi-line string, which this would change.
fn bare(name: &str, text: &str) -> Result<String, String> {
    let mut kept = String::with_capacity(text.len());
    let mut in_comment = false;
    for line in text.lines().map(str::trim) {
        if name.ends_with(".js") && line.matches('`').count() % 2 != 0 {
            return Err(format!("{name}: multi-line string: {line}"));
        }
        in_comment |= line.starts_with("/*");
        if !in_comment && !line.starts_with("//") && !line.is_empty() {
            kept.push_str(line);
            kept.push('\n');
        }
        in_comment &= !line.ends_with("*/");
    }
    Ok(kept)
}

const OPENAPI: &str = "src/web/openapi.json";
