//! Values of a single word: numbers, `true` and `false`.

use super::TomlValue;

pub(super) fn read(word: &str) -> Option<TomlValue> {
    match word {
        "true" => return Some(TomlValue::Boolean(true)),
        "false" => return Some(TomlValue::Boolean(false)),
        _ => {}
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(number) = word.strip_prefix(prefix) {
            return i64::from_str_radix(&digits(number, radix)?, radix)
                .ok()
                .map(TomlValue::Integer);
        }
    }
    let (sign, number) = word.split_at(usize::from(word.starts_with(['+', '-'])));
    if matches!(number, "inf" | "nan") {
        return Some(TomlValue::Fraction(word.to_owned()));
    }
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, digits(fraction, 10).map(Some)?),
        None => (mantissa, None),
    };
    let whole = digits(whole, 10)?;
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    if fraction.is_none() && exponent.is_none() {
        return [sign, &whole].concat().parse().ok().map(TomlValue::Integer);
    }
    if let Some(exponent) = exponent {
        digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent), 10)?;
    }
    Some(TomlValue::Fraction(word.to_owned()))
}

/// `1_000` → `1000`; `None` for anything but digits, or for none.
fn digits(text: &str, radix: u32) -> Option<String> {
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_digit(radix));
    text.split('_').all(is_number).then(|| text.replace('_', ""))
}
