use super::*;
use crate::limits;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn read(text: &str) -> Result<Json, String> {
    let root = parse(text).map_err(|wrong| format!("{}: {wrong}", wrong.line(text)))?;
    json(&root).ok_or("a fraction out of range".into())
}

/// Like [`Node::to_json`], but with fractions as numbers.
fn json(node: &Node) -> Option<Json> {
    match &node.value {
        TomlValue::Fraction(text) => {
            let number: f64 = text.replace('_', "").parse().unwrap();
            (number.is_finite() || text.contains("inf") || text.contains("nan"))
                .then(|| number.into())
        }
        TomlValue::List(list) => list.iter().map(json).collect(),
        TomlValue::Table(table) => {
            let entries = table.entries.iter();
            entries.map(|entry| Some((entry.key.clone(), json(&entry.node)?))).collect()
        }
        _ => Some(node.to_json()),
    }
}

#[test]
fn values_of_every_kind_are_read() {
    let text = r#"
text = "a \"b\" \u00e9\U0001F600\t" # comment
literal = 'C:\x'
long = """
one \
   two ""three""""
raw = '''
it's'''
number = 1_000
hex = 0xFF
negative = -17
float = 6.5e1
yes = true
list = [1, [ "x" ], # comment
  2,
]
"quoted key".'x' = { a = 1, b.c = [] }
"#;
    let expected = json!({
        "text": "a \"b\" é😀\t", "literal": "C:\\x", "long": "one two \"\"three\"", "raw": "it's",
        "number": 1000, "hex": 255, "negative": -17, "float": 65.0, "yes": true,
        "list": [1, ["x"], 2], "quoted key": {"x": {"a": 1, "b": {"c": []}}}
    });
    assert_eq!(read(text).unwrap(), expected);
    assert_eq!(read(&text.replace('\n', "\r\n")).unwrap(), expected);
    assert_eq!(read(&format!("\u{feff}{text}")).unwrap(), expected);
}

#[test]
fn sections_and_lists_of_sections_are_read() {
    let text = "[a]\nx=1\n[[c]]\nn=1\n[c.inner]\ny=2\n[[c]]\n[a.b]\nz=3\n[d.e]\n[d]\n";
    let expected = json!({
        "a": {"x": 1, "b": {"z": 3}}, "c": [{"n": 1, "inner": {"y": 2}}, {}], "d": {"e": {}}
    });
    assert_eq!(read(text).unwrap(), expected);
}

#[test]
fn every_node_knows_where_it_is_written() {
    let text = "[a]\nx = 'v' # c\n\n[[c]]\n  n = [ 1,\n 2 ]\n";
    let root = parse(text).unwrap();
    let section = root.get("a").unwrap();
    assert_eq!(&text[section.span.clone()], "[a]\nx = 'v'");
    assert_eq!(&text[section.get("x").unwrap().span.clone()], "'v'");
    let TomlValue::List(cameras) = &root.get("c").unwrap().value else { panic!() };
    assert_eq!(&text[cameras[0].span.clone()], "[[c]]\n  n = [ 1,\n 2 ]");
    let entry = &cameras[0].entries()[0];
    assert!(text[entry.start..].starts_with("n = "));
}

#[test]
fn invalid_toml_is_refused_with_its_line() {
    for (text, line, words) in [
        ("a = 1\na = 2", 2, "duplicate key `a`"),
        ("[a]\n[b]\n[a]", 3, "duplicate section `a`"),
        ("[a]\n[[a]]", 2, "duplicate section `a`"),
        ("a = []\n[[a]]", 2, "duplicate section `a`"),
        ("a = {}\na.b = 1", 2, "duplicate key `a`"),
        ("a = {}\n[a.b]", 2, "duplicate key `a`"),
        ("[a]\nb.c = 1\n[a.b]", 3, "duplicate section `b`"),
        ("\nx", 2, "expected `=`"),
        ("x =", 1, "expected a value"),
        ("x = yes", 1, "expected a value"),
        ("x = 01", 1, "expected a value"),
        ("x = 1.", 1, "expected a value"),
        ("x = 1e", 1, "expected a value"),
        ("x = 1e+-1", 1, "expected a value"),
        ("x = 1__0", 1, "expected a value"),
        ("x = 9223372036854775808", 1, "expected a value"),
        ("x = 2026-11-23", 1, "expected a value"),
        ("x = \"a", 1, "expected a quote"),
        ("x = \"\"\"a\n\n", 1, "expected a quote"),
        ("x = \"\\q\"", 1, "expected one of \\b"),
        ("x = \"\\ud800\"", 1, "expected one of \\b"),
        ("x = [1 2]", 1, "expected `]`"),
        ("x = {a = 1,}", 1, "expected a key"),
        ("x = 1 y = 2", 1, "expected the end of the line"),
        ("= 1", 1, "expected a key"),
        ("\"\"\"a\"\"\" = 1", 1, "expected a key"),
        ("# \u{1}", 1, "a control character"),
        ("x = '\u{1}'", 1, "a control character"),
        ("[a\n]", 1, "expected `]`"),
    ] {
        let wrong = read(text).expect_err(text);
        assert!(wrong.starts_with(&format!("{line}: {words}")), "{text:?}: {wrong}");
    }
}

#[test]
fn endless_nesting_and_growth_are_refused() {
    let deep = limits::CONFIG_BYTES_MAX / 2;
    for text in [
        format!("x = {}", "[".repeat(deep)),
        format!("x = {}", "{a=".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
    ] {
        assert!(read(&text).unwrap_err().contains("too deeply nested"));
    }
    let many: String = (0..=limits::TOML_KEYS_MAX).map(|number| format!("k{number}=1\n")).collect();
    assert!(read(&many).unwrap_err().starts_with("65: more than 64 keys"));
}

/// The result of the `toml` crate; `None` if it refuses the text.
fn second_opinion(text: &str) -> Option<Json> {
    fn json(value: toml::Value) -> Json {
        match value {
            toml::Value::String(text) => text.into(),
            toml::Value::Integer(number) => number.into(),
            toml::Value::Float(number) => number.into(),
            toml::Value::Boolean(is_so) => is_so.into(),
            toml::Value::Datetime(_) => "a date".into(),
            toml::Value::Array(list) => list.into_iter().map(json).collect(),
            toml::Value::Table(table) => {
                table.into_iter().map(|(key, value)| (key, json(value))).collect()
            }
        }
    }
    text.parse::<toml::Table>().ok().map(|table| json(toml::Value::Table(table)))
}

/// Pieces that are valid TOML in some orders.
fn text() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "\"a\"",
        "'b'",
        ".",
        " = ",
        "=",
        "1",
        "-2",
        "+3.5",
        "1e3",
        "1_0",
        "0x1f",
        "0b1",
        "true",
        "inf",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ", ",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "# c",
        "\"\"\"",
        "'''",
        "\"",
        "'",
        "\\",
        "\\n",
        "\\u00e9",
        "\u{e9}",
        "\u{7f}",
        "a = 1\n",
        "[a]\n",
        "[[b]]\n",
        "[a.b]\n",
        "b.a = 2\n",
        "a = { b = 1 }\n",
        "b = [1, 2]\n",
        "a = \"x\" # y\n",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn another_parser_reads_the_same(text in text()) {
        let ours = read(&text).ok();
        prop_assert_eq!(&ours, &second_opinion(&text), "{:?}", text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}|[\\[\\]{}\"'.=#\\\\a\n ]{0,80}") {
        if let Ok(root) = parse(&text) {
            for entry in root.entries() {
                prop_assert!(text.get(entry.node.span.clone()).is_some());
            }
        }
    }
}
