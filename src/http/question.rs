//! The head of a request that we make: values in, text out.
//!
//! Spec: RFC 9112 §3, §5. Knows nothing of: sockets, answers.

/// Returns the head of a request. A field without a value is left out.
///
/// No value can begin another line: its control characters are left out.
pub fn question(method: &str, path: &str, host: &str, fields: &[(&str, &str)]) -> String {
    let mut head = String::new();
    let mut line = |parts: &[&str]| {
        for part in parts {
            head.extend(part.chars().filter(|it| !it.is_control()));
        }
        head.push_str("\r\n");
    };
    line(&[method, " ", path, " HTTP/1.1"]);
    line(&["Host: ", host]);
    line(&["User-Agent: smolnvr/", env!("CARGO_PKG_VERSION")]);
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        line(&[name, ": ", value]);
    }
    line(&[]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_a_line_for_each_field_with_a_value() {
        let fields = [("Connection", "close"), ("Authorization", ""), ("Content-Length", "2")];
        let agent = ["User-Agent: smolnvr/", env!("CARGO_PKG_VERSION")].concat();
        let lines = [
            "PUT /a HTTP/1.1",
            "Host: nas:80",
            &agent,
            "Connection: close",
            "Content-Length: 2",
            "",
            "",
        ];
        assert_eq!(question("PUT", "/a", "nas:80", &fields), lines.join("\r\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_value_begins_a_line(value in "[a\r\n\0\u{85}: ]*") {
            let head = question(&value, &value, &value, &[(&value, &value), ("x", &value)]);
            let fields = if value.is_empty() { 0 } else { 2 };
            proptest::prop_assert_eq!(head.matches(['\r', '\n']).count(), 2 * (4 + fields));
            proptest::prop_assert!(head.ends_with("\r\n\r\n"));
        }
    }
}
