use super::*;
use proptest::prelude::*;

/// Everything in a document, one character a kind: `<name`, `text`, `>`.
fn read(document: &str) -> Result<String, XmlError> {
    let mut reader = Reader::new(document);
    let mut out = String::new();
    while let Some(event) = reader.next()? {
        match event {
            Event::Start(element) => out += &format!("<{} ", element.name),
            Event::Text(text) => out += &format!("{text:?} "),
            Event::End(_) => out += "> ",
        }
    }
    Ok(out.trim_end().to_owned())
}

fn root<'a>(document: &'a str) -> Element<'a> {
    match Reader::new(document).next() {
        Ok(Some(Event::Start(element))) => element,
        other => panic!("{document}: {other:?}"),
    }
}

#[test]
fn every_maker_has_its_own_prefixes() {
    for document in [
        "<Envelope><Body>x</Body></Envelope>",
        "<s:Envelope xmlns:s=\"a\"><s:Body>x</s:Body></s:Envelope>",
        "<SOAP-ENV:Envelope xmlns:SOAP-ENV='a'>\r\n <SOAP-ENV:Body>\n x </SOAP-ENV:Body></SOAP-ENV:Envelope>\n",
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a > b --><Envelope\n><Body\t>x</Body ></Envelope>",
        "<Envelope><Body><![CDATA[x]]></Body></Envelope>",
        "<Envelope><Body><!-- <Body> -->x</Body></Envelope>\0\0and more <",
    ] {
        assert_eq!(read(document).unwrap(), "<Envelope <Body \"x\" > >", "{document}");
    }
}

#[test]
fn the_path_tells_which_of_two_elements_of_one_name_it_is() {
    let mut reader = Reader::new("<a><Name>1</Name><b><Name/><Name>2</Name></b></a>");
    let mut found = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        if let (Event::Text(text), [.., "b", "Name"]) = (event, reader.path()) {
            found.push(text);
        }
    }
    assert_eq!(found, ["2"]);
}

#[test]
fn an_element_without_content_begins_and_ends() {
    assert_eq!(read("<a/>").unwrap(), "<a >");
    assert_eq!(read("<a><b x='/'/><c /></a>").unwrap(), "<a <b > <c > >");
}

#[test]
fn entities_are_those_of_xml_and_a_bare_ampersand_stands_for_itself() {
    for (text, read) in [
        ("a&amp;b&lt;&gt;&quot;&apos;", "a&b<>\"'"),
        ("&#65;&#x42;&#X43;&#x1F4F7;", "ABC\u{1f4f7}"),
        ("user=admin&password=&channel=1", "user=admin&password=&channel=1"),
        ("&amp;amp;", "&amp;"),
        ("&lol;&#;&#x;&#0;&#xD800;&#99999999999;&", "&lol;&#;&#x;&#0;&#xD800;&#99999999999;&"),
        ("&ä;&änderung-die-zu-lang-ist;", "&ä;&änderung-die-zu-lang-ist;"),
    ] {
        let document = format!("<a>{text}</a>");
        assert_eq!(super::unescaped(text), read);
        let mut reader = Reader::new(&document);
        reader.next().unwrap();
        assert_eq!(reader.next().unwrap(), Some(Event::Text(Cow::Borrowed(read))));
    }
}

#[test]
fn an_attribute_is_found_whatever_stands_before_it() {
    for (tag, value) in [
        ("<p token='1'>", Some("1")),
        ("<p fixed=\"true\" token = \"a&amp;b\" >", Some("a&b")),
        ("<p tt:token='x'/>", Some("x")),
        ("<p xmlns:token='no' xmlns='no' token='yes'>", Some("yes")),
        ("<p text='token=\"no\" >' token='yes'>", Some("yes")),
        ("<p tokens='no'>", None),
        ("<p token>", None),
        ("<p token=1>", None),
        ("<p>", None),
    ] {
        assert_eq!(root(tag).attribute("token").as_deref(), value, "{tag}");
    }
}

#[test]
fn a_document_type_declaration_is_refused_wherever_it_stands() {
    for document in [
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
        "<?xml version='1.0'?>\n<!doctype a><a/>",
        "<a><!ENTITY lol 'lol'></a>",
    ] {
        assert_eq!(read(document), Err(XmlError::Declaration), "{document}");
    }
}

#[test]
fn elements_before_a_cut_count() {
    let whole = "<a><b t='>'>1</b><!-- c --><![CDATA[2]]></a>";
    for (end, _) in whole.char_indices() {
        let begun = &whole[..end];
        // Half of `<!--` might as well be a declaration.
        let is_marked = begun.rfind("<!").is_some_and(|at| end - at < "<![CDATA[".len());
        let error = read(begun).unwrap_err();
        assert!(error == XmlError::Cut || is_marked, "{begun}: {error}");
    }
    let mut reader = Reader::new("<a><b>1</b><b>2");
    let events = std::iter::from_fn(|| reader.next().ok().flatten()).count();
    assert_eq!(events, 5);
    assert_eq!(reader.next(), Err(XmlError::Cut));
}

#[test]
fn tags_that_make_no_sense_are_told() {
    for document in [
        "<a></b>",
        "</a>",
        "<>",
        "< a>",
        "<a><b></a></b>",
        "<a=>",
        "<a<b>",
        "<ns:>",
        "<ns:?a>",
        "<n\":a>\">",
    ] {
        assert_eq!(read(document), Err(XmlError::Malformed), "{document}");
    }
}

#[test]
fn elements_in_each_other_have_a_bound() {
    let document = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert!(read(&document(XML_DEPTH_MAX)).is_ok());
    assert_eq!(read(&document(XML_DEPTH_MAX + 1)), Err(XmlError::TooDeep));
    assert_eq!(read(&"<a>".repeat(1 << 20)), Err(XmlError::TooDeep));
}

proptest! {
    #[test]
    fn any_text_survives_being_escaped(text in "\\PC*") {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
        let document = format!("<a x=\"{}\">{escaped}</a>", escaped.replace('"', "&#34;"));
        let value = root(&document).attribute("x").unwrap().into_owned();
        prop_assert_eq!(&value, &text);
        let mut reader = Reader::new(&document);
        reader.next().unwrap();
        let expected = match escaped.trim() {
            "" => Event::End("a"),
            _ => Event::Text(Cow::Owned(text.trim().to_owned())),
        };
        prop_assert_eq!(reader.next().unwrap(), Some(expected));
    }

    #[test]
    fn no_bytes_are_read_for_ever(document in "[<>/!?a-c:= '\"&;#\\[\\]CDATA-]{0,200}") {
        let mut reader = Reader::new(&document);
        let mut count = 0;
        while let Ok(Some(_)) = reader.next() {
            count += 1;
            prop_assert!(count <= document.len() + 1);
            prop_assert!(reader.path().len() <= XML_DEPTH_MAX);
        }
    }
}
