//! Gzips the page's files and the API description, and lists them for `src/web/assets.rs`.
//!
//! The page's modules become one file, so that a browser has all of it after one more round trip;
//! its address in the page carries a hash of it, so that a browser asks for it once. Comments and
//! indentation are stripped: they are an eighth of the size. An ETag is a hash of the content, so
//! that it is the same in every build.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = Path::new("src/web/page");
    println!("cargo::rerun-if-changed={}", page.display());
    println!("cargo::rerun-if-changed={OPENAPI}");
    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(page)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name in UTF-8")?;
        let text = fs::read_to_string(&path)?;
        let text = if name.ends_with(".svg") { text } else { bare(name, &text)? };
        sources.insert(name.to_owned(), text);
    }
    let app = bundle(&sources)?;
    sources.retain(|name, _| !name.ends_with(".js") || name == "old.js");
    sources.insert("app.js".to_owned(), app);
    let mut html = sources.remove("index.html").ok_or("no index.html")?;
    for (name, content) in &sources {
        html =
            html.replace(&format!("\"/{name}\""), &format!("\"/{name}?v={:016x}\"", hash(content)));
    }
    sources.insert("index.html".to_owned(), html);

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut list = String::from("const ASSETS: &[Asset] = &[\n");
    let mut paths = String::new();
    for (name, content) in &sources {
        let address = if name == "index.html" { "" } else { name };
        write!(paths, "\"/{address}\", ")?;
        list.push_str(&asset(&out, name, address, content)?);
    }
    list.push_str(&asset(&out, "openapi.json", "api/openapi.json", &fs::read_to_string(OPENAPI)?)?);
    writeln!(
        list,
        "];\n\n/// The page's own paths, served without a login.\npub(super) const PATHS: &[&str] = &[{paths}];"
    )?;
    fs::write(out.join("assets.rs"), list)?;
    Ok(())
}

/// Gzips a file; its line in the list.
fn asset(
    out: &Path,
    name: &str,
    address: &str,
    content: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    let kind = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        _ => return Err(format!("{name}: unknown file type").into()),
    };
    let hash = format!("{:016x}", hash(content));
    let mut compressed = Vec::new();
    let options = zopfli::Options::default();
    zopfli::compress(options, zopfli::Format::Gzip, content.as_bytes(), &mut compressed)?;
    let gzipped = out.join(format!("{name}.gz"));
    fs::write(&gzipped, compressed)?;
    Ok(format!(
        "    Asset {{ name: {address:?}, kind: {kind:?}, hash: {hash:?}, gzipped: include_bytes!({gzipped:?}) }},\n"
    ))
}

fn hash(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(content.as_bytes());
    hasher.finish()
}

/// `app.js` and all that it imports as one script: each module is a function that returns what it
/// exports.
///
/// # Errors
/// An import or export of another form than `import { a, b as c } from "./x.js";` and
/// `export [async] function|class|const name`; modules that import each other.
fn bundle(sources: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let (mut done, mut above) = (Vec::new(), Vec::new());
    append("app.js", sources, &mut done, &mut above, &mut out)?;
    match sources
        .keys()
        .find(|name| name.ends_with(".js") && *name != "old.js" && !done.contains(name))
    {
        Some(name) => Err(format!("{name}: nothing imports it")),
        None => Ok(out),
    }
}

fn append(
    name: &str,
    sources: &BTreeMap<String, String>,
    done: &mut Vec<String>,
    above: &mut Vec<String>,
    out: &mut String,
) -> Result<(), String> {
    if done.iter().any(|other| other == name) {
        return Ok(());
    }
    if above.iter().any(|other| other == name) {
        return Err(format!("{name}: imports itself, by {}", above.join(", ")));
    }
    above.push(name.to_owned());
    let text = sources.get(name).ok_or(format!("{name}: there is no such module"))?;
    let (mut body, mut exports) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(import) = line.strip_prefix("import ") {
            let wrong = || format!("{name}: an import of another form: {line}");
            let (names, from) = import.split_once(" from \"./").ok_or_else(wrong)?;
            let from = from.strip_suffix("\";").ok_or_else(wrong)?;
            append(from, sources, done, above, out)?;
            let names = names.replace(" as ", ": ");
            writeln!(body, "const {names} = {};", variable(from)).map_err(|_| wrong())?;
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, |what| {
            let mut words =
                what.split(|letter: char| !letter.is_alphanumeric() && !"_$".contains(letter));
            let is_name = |word: &&str| !["async", "function", "class", "const", ""].contains(word);
            exports.extend(words.find(is_name));
            what
        });
        body.push_str(line);
        body.push('\n');
    }
    let exports = exports.join(", ");
    write!(out, "const {} = (() => {{\n{body}return {{ {exports} }};\n}})();\n", variable(name))
        .map_err(|error| error.to_string())?;
    above.pop();
    done.push(name.to_owned());
    Ok(())
}

/// What a module is called in the bundle.
fn variable(name: &str) -> String {
    format!("_{}", name.trim_end_matches(".js"))
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
