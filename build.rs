//! Gzips the page's files and the API description, and lists them for `src/web/assets.rs`.
//!
//! The page's modules become one file, so that a browser has all of it after one more round trip;
//! its address in the page carries a hash of it, so that a browser asks for it once. Comments and
//! indentation are stripped: they are an eighth of the size. An ETag is a hash of the content, so
//! that it is the same in every build.
//!
//! The page's texts in other languages (`ru.txt`: a line in English, a tab and the translation on
//! the next) become lists in the order in which the page has them; what is missing is listed for a
//! test.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hasher as _},
    iter::Peekable,
    path::{Path, PathBuf},
    str::Chars,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = Path::new("src/web/page");
    println!("cargo::rerun-if-changed={}", page.display());
    println!("cargo::rerun-if-changed={OPENAPI}");
    let (mut sources, mut declared) = (BTreeMap::new(), BTreeMap::new());
    for entry in fs::read_dir(page)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name in UTF-8")?;
        let text = fs::read_to_string(&path)?;
        for top in text.lines().filter_map(declaration).filter(|_| name != "old.js") {
            if let Some(other) = declared.insert(top.to_owned(), name.to_owned()) {
                return Err(format!("{name} and {other} both declare {top}").into());
            }
        }
        let as_it_is = name.ends_with(".svg") || name.ends_with(".txt");
        let text = if as_it_is { text } else { bare(name, &text)? };
        sources.insert(name.to_owned(), text);
    }
    let mut html = sources.remove("index.html").ok_or("no index.html")?;
    let (mut app, said) = numbered(&bundle(&sources)?)?;
    let written = texts(&html)?;
    let mut wrong = Vec::new();
    for (name, text) in sources.clone() {
        let Some(language) = name.strip_suffix(".txt") else { continue };
        let table = format!("{language}.json");
        let list = translated(language, &text, &said, &written, &mut wrong)?;
        app =
            app.replace(&format!("\"/{table}\""), &format!("\"/{table}?v={:016x}\"", hash(&list)));
        sources.insert(table, list);
    }
    let is_kept =
        |name: &str| name == "old.js" || !(name.ends_with(".js") || name.ends_with(".txt"));
    sources.retain(|name, _| is_kept(name));
    let app = squeezed(&app, &[]);
    sources.insert("app.js".to_owned(), squeezed(&app, &variables(&app)));
    if let Some(style) = sources.get_mut("style.css") {
        *style = squeezed_style(style);
    }
    for (name, content) in &sources {
        html =
            html.replace(&format!("\"/{name}\""), &format!("\"/{name}?v={:016x}\"", hash(content)));
    }
    sources.insert(
        "index.html".to_owned(),
        html.lines().map(str::trim_start).fold(String::new(), |all, line| all + line + "\n"),
    );

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
    writeln!(
        list,
        "\n/// Texts that a language lacks, has without need, or with other places for values.\n\
         #[cfg(test)]\nconst WRONG_TEXTS: &[&str] = &{wrong:?};"
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

/// `app.js` and all that it imports as one script, in one scope: what a module has at its top has a
/// name of its own in the whole page.
///
/// # Errors
/// An import or export of another form than `import { a, b } from "./x.js";` and
/// `export [async] function|class|const name`; modules that import each other; two things of one
/// name.
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

/// What a line without indentation declares.
fn declaration(line: &str) -> Option<&str> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let kinds = ["function ", "class ", "const ", "let "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    rest.split(|it: char| !it.is_alphanumeric() && !"_$".contains(it))
        .next()
        .filter(|it| !it.is_empty())
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
    let mut body = String::new();
    for line in text.lines() {
        if let Some(import) = line.strip_prefix("import ") {
            let from =
                import.split_once(" from \"./").and_then(|(_, from)| from.strip_suffix("\";"));
            let from = from.filter(|_| !import.contains(" as "));
            let from = from.ok_or_else(|| format!("{name}: an import of another form: {line}"))?;
            append(from, sources, done, above, out)?;
            continue;
        }
        body.push_str(line.strip_prefix("export ").unwrap_or(line));
        body.push('\n');
    }
    out.push_str(&body);
    above.pop();
    done.push(name.to_owned());
    Ok(())
}

/// The script with a number for each text, t`…` becoming t(7)`…`, and the texts by number: in each,
/// {1} stands for the first value.
///
/// # Errors
/// A text within another one's value.
fn numbered(script: &str) -> Result<(String, Vec<String>), String> {
    let (mut out, mut texts) = (String::new(), Vec::<String>::new());
    let mut rest = script;
    while let Some(at) = rest.find("t`") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = &after[2..];
        if before.ends_with(|letter: char| letter.is_alphanumeric() || "_$.".contains(letter)) {
            out.push_str("t`");
            continue;
        }
        let end = rest.find('`').ok_or("a text without an end")?;
        let (mut text, mut values, mut source) = (String::new(), 0, &rest[..end]);
        while let Some((words, value)) = source.split_once("${") {
            let mut depth = 1;
            let is_end = |letter| {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                depth == 0
            };
            let close = value.find(is_end).ok_or(format!("a text within a value: {source}"))?;
            values += 1;
            text.push_str(&format!("{words}{{{values}}}"));
            source = &value[close + 1..];
        }
        text.push_str(source);
        let number = texts.iter().position(|other| *other == text).unwrap_or(texts.len());
        if number == texts.len() {
            texts.push(text);
        }
        out.push_str(&format!("t({number})`"));
    }
    out.push_str(rest);
    Ok((out, texts))
}

/// The texts of the page, its titles and labels, as `translate` in lang.js walks through them.
fn texts(html: &str) -> Result<Vec<String>, String> {
    let (_, body) = html.split_once("</noscript>").ok_or("no <noscript>")?;
    let mut texts = Vec::new();
    for (index, part) in body.split(['<', '>']).enumerate() {
        if index % 2 == 0 {
            texts.push(part.split_whitespace().collect::<Vec<_>>().join(" "));
            continue;
        }
        let mut attributes = part;
        while let Some((name, rest)) = attributes.split_once("=\"") {
            let (value, rest) = rest.split_once('"').ok_or(format!("an open quote: {part}"))?;
            if name.ends_with(" title") || name.ends_with(" aria-label") {
                texts.push(value.to_owned());
            }
            attributes = rest;
        }
    }
    texts.retain(|text| text.contains(|letter: char| letter.is_ascii_alphabetic()));
    Ok(texts)
}

/// A language's two lists, as JSON; `0` stands for what it lacks.
fn translated(
    language: &str,
    table: &str,
    said: &[String],
    written: &[String],
    wrong: &mut Vec<String>,
) -> Result<String, String> {
    let lines: Vec<&str> = table.lines().collect();
    let mut known = BTreeMap::new();
    for pair in lines.chunks(2) {
        let translation = pair.get(1).and_then(|line| line.strip_prefix('\t'));
        let translation = translation.ok_or(format!("{language}.txt: not a pair: {pair:?}"))?;
        if known.insert(pair[0], translation).is_some() {
            wrong.push(format!("{language}.txt has twice: {}", pair[0]));
        }
    }
    let places = |text: &str| {
        let mut places: Vec<_> =
            text.split('{').skip(1).filter_map(|rest| rest.chars().next()).collect();
        places.sort_unstable();
        places
    };
    let mut list = |texts: &[String]| {
        let texts = texts.iter().map(|text| match known.get(text.as_str()) {
            Some(translation) => {
                if places(text) != places(translation) {
                    wrong.push(format!("{language}.txt has other values in: {text}"));
                }
                format!("\"{}\"", translation.replace('\\', "\\\\").replace('"', "\\\""))
            }
            None => {
                wrong.push(format!("{language}.txt lacks: {text}"));
                "0".to_owned()
            }
        });
        texts.collect::<Vec<_>>().join(",")
    };
    let lists = format!("[[{}],[{}]]", list(said), list(written));
    let is_used = |text: &str| said.iter().chain(written).any(|other| other == text);
    let unused = known.keys().filter(|text| !is_used(text));
    wrong.extend(unused.map(|text| format!("{language}.txt has without need: {text}")));
    Ok(lists)
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

/// The names that get shorter ones: what a squeezed script declares, and what is nowhere a property,
/// a key or a whole string. Such a name means one of the script's own variables wherever it stands.
fn variables(script: &str) -> Vec<&str> {
    let is_word = |it: char| it.is_alphanumeric() || "_$".contains(it);
    let (mut declared, mut fixed) = (Vec::new(), BTreeSet::new());
    let (mut at, mut last) = (0, "");
    while let Some(start) = script[at..].find(is_word).map(|start| at + start) {
        at = script[start..].find(|it| !is_word(it)).map_or(script.len(), |end| start + end);
        let (before, word, after) = (&script[..start], &script[start..at], &script[at..]);
        let is_property = before.ends_with('.') && !before.ends_with("...");
        let is_string = before.ends_with(['"', '\'', '`']) && after.starts_with(['"', '\'', '`']);
        let is_set = after.starts_with('=') && !after.starts_with("==") && !after.starts_with("=>");
        let in_braces = before.ends_with(['{', ',']) && !before.ends_with("${");
        let is_short = in_braces && (is_set || after.starts_with([',', '}']));
        if is_property || is_string || is_short || after.starts_with(':') {
            fixed.insert(word);
        } else if ["const", "let", "function", "class"].contains(&last) && !declared.contains(&word)
        {
            declared.push(word);
        }
        last = word;
    }
    declared.retain(|name| name.len() > 3 && !fixed.contains(name));
    declared
}

/// Whether a name that follows is no property, and no part of another.
fn begins_name(script: &str) -> bool {
    let is_apart = |it: char| !it.is_alphanumeric() && !"._$".contains(it);
    script.ends_with("...") || script.chars().last().is_none_or(is_apart)
}

/// The name that begins with this letter, or its short one.
fn renamed(first: char, letters: &mut Peekable<Chars<'_>>, variables: &[&str]) -> String {
    let mut name = String::from(first);
    while let Some(next) = letters.next_if(|it| it.is_alphanumeric() || *it == '_') {
        name.push(next);
    }
    let number = variables.iter().position(|other| *other == name);
    number.map_or(name, |number| format!("${number}"))
}

/// Without comments, and without space that means nothing. Space within `calc()` and between
/// selectors stays.
fn squeezed_style(style: &str) -> String {
    let mut out = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    let lines: String = out.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut short = lines;
    for (long, brief) in [
        ("  ", " "),
        (" {", "{"),
        ("{ ", "{"),
        ("; ", ";"),
        (" }", "}"),
        ("} ", "}"),
        (";}", "}"),
        (": ", ":"),
        (", ", ","),
    ] {
        while short.contains(long) {
            short = short.replace(long, brief);
        }
    }
    short
}

/// A script without the blanks and ends of lines that mean nothing, and without comments at the end
/// of lines. Blanks within strings, templates and regular expressions stay. Private names and
/// `variables` become short.
fn squeezed(script: &str, variables: &[&str]) -> String {
    let mut out = String::with_capacity(script.len());
    // What each open brace is: a value within a template, or a block.
    let (mut within, mut braces) = (None, Vec::new());
    let mut private = Vec::new();
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        if let Some(end) = within {
            out.push(letter);
            match letter {
                '\\' => out.extend(letters.next()),
                '[' if end == '/' => within = Some(']'),
                ']' if end == ']' => within = Some('/'),
                '{' if end == '`' && out.ends_with("${") => {
                    braces.push(true);
                    within = None;
                }
                _ if letter == end => within = None,
                _ => {}
            }
            continue;
        }
        let last = out.chars().last();
        match letter {
            '/' if letters.peek() == Some(&'/') => {
                while letters.next_if(|it| *it != '\n').is_some() {}
                continue;
            }
            '\n' if last.is_some_and(|it| ";{},(".contains(it)) => continue,
            '/' if last.is_none_or(|it| "(,=:[!&|?{};>".contains(it)) => within = Some('/'),
            '#' => {
                let is_name = |it: &char| it.is_alphanumeric() || *it == '_';
                let name: String = std::iter::from_fn(|| letters.next_if(is_name)).collect();
                let number = private.iter().position(|other| *other == name);
                let number = number.unwrap_or(private.len());
                if number == private.len() {
                    private.push(name);
                }
                let short = char::from(b'a' + (number % 26) as u8);
                out.push_str(&format!("#{short}{}", number / 26));
                continue;
            }
            'A'..='Z' | 'a'..='z' if begins_name(&out) => {
                out.push_str(&renamed(letter, &mut letters, variables));
                continue;
            }
            '"' | '\'' | '`' => within = Some(letter),
            '{' => braces.push(false),
            '}' if braces.pop() == Some(true) => within = Some('`'),
            ' ' => {
                let is_word = |it: char| it.is_alphanumeric() || "_$#".contains(it);
                let is_sign = |it: char| "+-".contains(it);
                let next = letters.peek().copied();
                let both =
                    |kind: &dyn Fn(char) -> bool| last.is_some_and(kind) && next.is_some_and(kind);
                if !both(&is_word) && !both(&is_sign) {
                    continue;
                }
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

const OPENAPI: &str = "src/web/openapi.json";
