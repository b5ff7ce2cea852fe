//! Values of one word: numbers, `true` and `false`.

use super::Value;

pub(super) fn read(word: &str) -> Option<Value> {
    match word {
        "true" => return Some(Value::Boolean(true)),
        "false" => return Some(Value::Boolean(false)),
        _ => {}
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(number) = word.strip_prefix(prefix) {
            return i64::from_str_radix(&digits(number, radix)?, radix).ok().map(Value::Integer);
        }
    }
    let (sign, number) = word.split_at(usize::from(word.starts_with(['+', '-'])));
    if matches!(number, "inf" | "nan") {
        return word.parse().ok().map(Value::Float);
    }
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (number, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(digits(fraction, 10)?)),
        None => (mantissa, None),
    };
    let whole = digits(whole, 10)?;
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    if fraction.is_none() && exponent.is_none() {
        return [sign, &whole].concat().parse().ok().map(Value::Integer);
    }
    let exponent = exponent.unwrap_or("0");
    let (exponent_sign, exponent) =
        exponent.split_at(usize::from(exponent.starts_with(['+', '-'])));
    let (fraction, exponent) = (fraction.unwrap_or_default(), digits(exponent, 10)?);
    let number = [sign, &whole, ".", &fraction, "0e", exponent_sign, &exponent].concat();
    number.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
}

/// `1_000` → `1000`; `None` where anything else is in it, or nothing.
fn digits(text: &str, radix: u32) -> Option<String> {
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_digit(radix));
    text.split('_').all(is_number).then(|| text.replace('_', ""))
}
