//! Shows the settings: all that exist, and the values in force.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{
    keys::{Kind, keys},
    load::variable,
};
use crate::Error;

/// Every setting of `C` as a Markdown table: key, variable, type, default and what
/// it is. `short` are the short variables, as in [`Sources`](super::Sources).
#[must_use]
pub fn reference<C>(defaults: &C, short: &[(&str, &str)]) -> String
where
    C: Serialize + JsonSchema,
{
    let mut table = "| key | environment | type | default | what it is |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for key in keys(defaults) {
        let shorts = short.iter().filter(|(_, path)| *path == key.path).map(|(name, _)| *name);
        let variables: Vec<_> = shorts
            .map(|name| format!("`{name}`"))
            .chain([format!("`{}`", variable(&key.path))])
            .collect();
        // A String takes every write.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {} |",
            key.path,
            variables.join(" or "),
            type_name(&key.kind),
            default_text(&key.default),
            key.doc.replace('|', "\\|"),
        );
    }
    table
}

/// The values in force as TOML, fit for a configuration file. Secrets stand in
/// files, whose paths are shown; a password in a URL is hidden all the same.
///
/// # Errors
/// [`Error::Render`] when TOML can not express a value.
pub fn effective<C: Serialize>(config: &C) -> Result<String, Error> {
    let mut values =
        toml::Value::try_from(config).map_err(|error| Error::Render(error.to_string()))?;
    hide_passwords(&mut values);
    toml::to_string_pretty(&values).map_err(|error| Error::Render(error.to_string()))
}

fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Text(form) => match form.as_str() {
            "duration" => "duration",
            _ => "text",
        }
        .to_owned(),
        Kind::Choice(choices) => {
            choices.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Integer => "integer".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::List(item) => format!("list of {}", type_name(item)),
        Kind::Table => "table".to_owned(),
    }
}

fn default_text(default: &Value) -> String {
    match default {
        Value::Null => "unset".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(items) if items.is_empty() => "empty".to_owned(),
        Value::Array(items) => items.iter().map(default_text).collect::<Vec<_>>().join(", "),
        other => format!("`{other}`"),
    }
}

fn hide_passwords(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => {
            if let Some(hidden) = without_password(text) {
                *text = hidden;
            }
        }
        toml::Value::Array(items) => items.iter_mut().for_each(hide_passwords),
        toml::Value::Table(fields) => fields.iter_mut().for_each(|(_, item)| hide_passwords(item)),
        _ => (),
    }
}

/// `scheme://user:password@host` with the password hidden.
fn without_password(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, host) = rest.rsplit_once('@')?;
    let (user, _) = user.split_once(':')?;
    Some(format!("{scheme}://{user}:***@{host}"))
}
