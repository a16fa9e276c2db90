//! The rules of strings and bytes. Lengths of strings are counted in Unicode
//! code points, as protovalidate counts them, or in bytes.

use prost_reflect::{DynamicMessage, Value};

use super::scope::{Scope, check, count};

/// What a string looks like that is a UUID of any version (RFC 9562), with and
/// without hyphens.
const UUID: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
const TRIMMED_UUID: &str = "^[0-9a-fA-F]{32}$";

/// The checks of a string.
pub(super) fn string(set: &DynamicMessage, scope: &mut Scope<'_>) -> String {
    let mut code = String::new();
    for (field, value) in set.fields() {
        let rule = field.name();
        let id = format!("string.{rule}");
        code.push_str(&match (rule, value) {
            ("example", _) | (_, Value::Bool(false)) => String::new(),
            ("len" | "min_len" | "max_len", Value::U64(limit)) => {
                length(&id, "value.chars().count()", *limit, "character")
            }
            ("len_bytes" | "min_bytes" | "max_bytes", Value::U64(limit)) => {
                length(&id, "value.len()", *limit, "byte")
            }
            ("pattern", Value::String(pattern)) => match unusable(pattern) {
                Some(reason) => {
                    scope.wrong(format!("the pattern {pattern:?} {reason}"));
                    String::new()
                }
                None => matches(scope, pattern, &id, &format!("must match {pattern}")),
            },
            ("uuid", _) => matches(scope, UUID, &empty_id(&id), "must be a UUID"),
            ("tuuid", _) => {
                matches(scope, TRIMMED_UUID, &empty_id(&id), "must be a UUID without hyphens")
            }
            ("ip", _) => address("IpAddr", &id, "must be an IP address"),
            ("ipv4", _) => address("Ipv4Addr", &id, "must be an IPv4 address"),
            ("ipv6", _) => address("Ipv6Addr", &id, "must be an IPv6 address"),
            (_, Value::String(text)) => match affix(rule, text) {
                Some((broken, description)) => check(&broken, &id, &description),
                None => uncovered(scope, &id),
            },
            ("in" | "not_in", Value::List(texts)) => {
                let texts: Vec<_> = texts
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|text| format!("{text:?}"))
                    .collect();
                let (not, words) = if rule == "in" { ("!", "one of") } else { ("", "none of") };
                let list = texts.join(", ");
                let broken = format!("{not}[{list}].contains(&value.as_str())");
                check(&broken, &id, &format!("must be {words} {list}"))
            }
            _ => uncovered(scope, &id),
        });
    }
    code
}

/// The checks of bytes.
pub(super) fn bytes(set: &DynamicMessage, scope: &mut Scope<'_>) -> String {
    let mut code = String::new();
    for (field, value) in set.fields() {
        let rule = field.name();
        let id = format!("bytes.{rule}");
        code.push_str(&match (rule, value) {
            ("example", _) | (_, Value::Bool(false)) => String::new(),
            ("len" | "min_len" | "max_len", Value::U64(limit)) => {
                length(&id, "value.len()", *limit, "byte")
            }
            ("const", Value::Bytes(bytes)) => {
                let broken = format!("value.as_slice() != {}", byte_slice(bytes));
                check(&broken, &id, "must have the one value that is allowed")
            }
            ("prefix", Value::Bytes(bytes)) => {
                let broken = format!("!value.starts_with({})", byte_slice(bytes));
                check(&broken, &id, "must start as the contract says")
            }
            ("suffix", Value::Bytes(bytes)) => {
                let broken = format!("!value.ends_with({})", byte_slice(bytes));
                check(&broken, &id, "must end as the contract says")
            }
            ("in" | "not_in", Value::List(values)) => {
                let values: Vec<_> = values
                    .iter()
                    .filter_map(Value::as_bytes)
                    .map(|bytes| byte_slice(bytes))
                    .collect();
                let (not, words) = if rule == "in" { ("!", "one") } else { ("", "none") };
                let broken = format!("{not}[{}].contains(&value.as_slice())", values.join(", "));
                check(&broken, &id, &format!("must be {words} of the values in the contract"))
            }
            _ => uncovered(scope, &id),
        });
    }
    code
}

fn length(id: &str, length: &str, limit: u64, unit: &str) -> String {
    let number = count(limit, unit);
    let (range, words) = match id {
        _ if id.contains(".min") => (format!("{limit}_usize.."), "at least"),
        _ if id.contains(".max") => (format!("..={limit}_usize"), "at most"),
        _ => (format!("{limit}_usize..={limit}_usize"), "exactly"),
    };
    check(&format!("!({range}).contains(&{length})"), id, &format!("must have {words} {number}"))
}

fn matches(scope: &mut Scope<'_>, pattern: &str, id: &str, description: &str) -> String {
    let name = scope.patterns.name(pattern);
    let broken = format!("{name}.as_ref().is_none_or(|pattern| !pattern.is_match(value))");
    // A well-known form has an id of its own for the empty string.
    match id.strip_suffix("_empty") {
        None => check(&broken, id, description),
        Some(full) => {
            let broken = format!("!value.is_empty() && {broken}");
            check("value.is_empty()", id, description) + &check(&broken, full, description)
        }
    }
}

fn address(kind: &str, id: &str, description: &str) -> String {
    let broken = format!("!value.is_empty() && value.parse::<::core::net::{kind}>().is_err()");
    check("value.is_empty()", &empty_id(id), description) + &check(&broken, id, description)
}

fn empty_id(id: &str) -> String {
    format!("{id}_empty")
}

fn affix(rule: &str, text: &str) -> Option<(String, String)> {
    Some(match rule {
        "const" => (format!("value.as_str() != {text:?}"), format!("must be {text:?}")),
        "prefix" => (format!("!value.starts_with({text:?})"), format!("must start with {text:?}")),
        "suffix" => (format!("!value.ends_with({text:?})"), format!("must end with {text:?}")),
        "contains" => (format!("!value.contains({text:?})"), format!("must contain {text:?}")),
        "not_contains" => {
            (format!("value.contains({text:?})"), format!("must not contain {text:?}"))
        }
        _ => return None,
    })
}

/// Why a pattern can not be used. The annotations are written for RE2, where
/// the Perl classes are ASCII; in the regex crate they are Unicode.
fn unusable(pattern: &str) -> Option<String> {
    if let Err(error) = regex::Regex::new(pattern) {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        return Some(format!("does not compile: {}", last.trim_start_matches("error: ")));
    }
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\'
            && let Some(class) = letters.next()
            && "dDwWsSbB".contains(class)
        {
            return Some(format!(
                "means different things to RE2 and to Rust by \\{class}: write the characters out"
            ));
        }
    }
    None
}

fn byte_slice(bytes: &[u8]) -> String {
    format!("b\"{}\".as_slice()", bytes.escape_ascii())
}

fn uncovered(scope: &mut Scope<'_>, id: &str) -> String {
    scope.uncovered(id);
    String::new()
}
