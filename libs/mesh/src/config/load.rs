//! Reads the settings from everywhere, and refuses what it does not know.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::Serialized,
    value::{Dict, Map},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::keys::{Key, Kind, keys, nest};
use crate::Error;

/// What the names of all variables begin with.
pub const PREFIX: &str = "COUNTERSIGN_";
/// Variables of the tests; they configure no process.
const TESTS: &str = "COUNTERSIGN_TEST_";
/// How the command line is called in errors.
const COMMAND_LINE: &str = "the command line";

/// Where settings come from, beside the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file, which has to exist.
    pub file: Option<PathBuf>,
    /// The environment; only names that begin with [`PREFIX`] matter.
    pub environment: Vec<(OsString, OsString)>,
    /// Short variables and their settings, such as `("COUNTERSIGN_LISTEN", "server.listen")`.
    /// The long variable wins over the short one.
    pub short: Vec<(&'static str, &'static str)>,
    /// Variables with the prefix that are read elsewhere.
    pub ignored: Vec<&'static str>,
    /// Settings and values from the command line.
    pub overrides: Vec<(String, String)>,
}

/// One value with the place that it comes from, for figment to merge.
struct Setting {
    origin: String,
    tree: Value,
}

impl Sources {
    /// The given file and the environment of this process.
    #[must_use]
    pub fn process(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Path::to_owned),
            environment: std::env::vars_os().collect(),
            ..Self::default()
        }
    }
}

/// The settings: `defaults`, overridden by the file, by the environment, and by
/// the command line, in this order. Ranges are checked by the sections' `validate`.
///
/// # Errors
/// Names the key and its source for an unknown setting or a value of the wrong
/// form; or says why the file can not be read.
pub fn load<C>(defaults: &C, sources: &Sources) -> Result<C, Error>
where
    C: Serialize + DeserializeOwned + JsonSchema,
{
    let keys = keys(defaults);
    let mut figment = Figment::from(Serialized::defaults(defaults));
    for setting in from_file(sources, &keys)?
        .into_iter()
        .chain(from_environment(sources, &keys)?)
        .chain(from_command_line(sources, &keys)?)
    {
        figment = figment.merge(setting);
    }
    figment.extract().map_err(|error| bad_value(&error))
}

fn from_file(sources: &Sources, keys: &[Key]) -> Result<Vec<Setting>, Error> {
    let Some(path) = &sources.file else { return Ok(Vec::new()) };
    let text =
        fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    let table: toml::Table = toml::from_str(&text)
        .map_err(|error| Error::Syntax { path: path.clone(), reason: syntax(&error, &text) })?;
    let tree = serde_json::to_value(table)
        .map_err(|error| Error::Syntax { path: path.clone(), reason: error.to_string() })?;
    let origin = path.display().to_string();
    let mut settings = Vec::new();
    flatten("", tree, keys, &origin, &mut settings)?;
    Ok(settings)
}

/// Line and reason, without the text of the line.
fn syntax(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("{}, in line {line}", error.message())
}

fn flatten(
    path: &str,
    value: Value,
    keys: &[Key],
    origin: &str,
    settings: &mut Vec<Setting>,
) -> Result<(), Error> {
    if keys.iter().any(|key| key.path == path) {
        settings.push(Setting { origin: origin.to_owned(), tree: nest(path, value) });
        return Ok(());
    }
    let inside = |key: &Key| path.is_empty() || key.path.starts_with(&format!("{path}."));
    match value {
        Value::Object(fields) if keys.iter().any(inside) => {
            fields.into_iter().try_for_each(|(name, value)| {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, value, keys, origin, settings)
            })
        }
        _ => Err(unknown(path, origin, keys.iter().map(|key| key.path.clone()))),
    }
}

fn from_environment(sources: &Sources, keys: &[Key]) -> Result<Vec<Setting>, Error> {
    let mut settings = Vec::new();
    for (name, value) in &sources.environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if name.starts_with(TESTS) || sources.ignored.contains(&name) {
            continue;
        }
        let short = sources.short.iter().find(|(short, _)| *short == name).map(|(_, path)| *path);
        let long = keys.iter().find(|key| variable(&key.path) == name);
        let Some(key) = long.or_else(|| keys.iter().find(|key| Some(key.path.as_str()) == short))
        else {
            let known = keys.iter().map(|key| variable(&key.path));
            let known = known.chain(sources.short.iter().map(|(short, _)| (*short).to_owned()));
            return Err(unknown(name, "the environment", known));
        };
        let origin = format!("the environment variable {name}");
        let value = value.to_str().ok_or_else(|| Error::BadValue {
            key: key.path.clone(),
            origin: origin.clone(),
            reason: "is not valid UTF-8".to_owned(),
        })?;
        settings.push((long.is_some(), read(key, value, origin)?));
    }
    // The long names last, so that they win.
    settings.sort_by_key(|(long, _)| *long);
    Ok(settings.into_iter().map(|(_, setting)| setting).collect())
}

fn from_command_line(sources: &Sources, keys: &[Key]) -> Result<Vec<Setting>, Error> {
    let named = sources.overrides.iter().map(|(path, value)| {
        match keys.iter().find(|key| key.path == *path) {
            Some(key) => read(key, value, COMMAND_LINE.to_owned()),
            None => Err(unknown(path, COMMAND_LINE, keys.iter().map(|key| key.path.clone()))),
        }
    });
    named.collect()
}

/// The variable of a setting.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// Reads a text as the kind of value that the setting holds.
fn read(key: &Key, text: &str, origin: String) -> Result<Setting, Error> {
    match value_of(&key.kind, text.trim()) {
        Ok(value) => Ok(Setting { origin, tree: nest(&key.path, value) }),
        Err(what) => Err(Error::BadValue {
            key: key.path.clone(),
            origin,
            reason: format!("must be {what}"),
        }),
    }
}

fn value_of(kind: &Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Text(_) | Kind::Choice(_) => Ok(text.into()),
        Kind::Integer => text.parse::<i64>().map(Value::from).map_err(|_| "a whole number"),
        Kind::Number => text.parse::<f64>().map(Value::from).map_err(|_| "a number"),
        Kind::Boolean => text.parse::<bool>().map(Value::from).map_err(|_| "true or false"),
        Kind::List(_) if text.is_empty() => Ok(Value::Array(Vec::new())),
        Kind::List(item) => text.split(',').map(|one| value_of(item, one.trim())).collect(),
        Kind::Table => serde_json::from_str(text).map_err(|_| "a JSON object"),
    }
}

fn bad_value(error: &figment::Error) -> Error {
    let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
    Error::BadValue {
        key: error.path.join("."),
        origin: origin.unwrap_or_else(|| "the defaults".to_owned()),
        reason: error.kind.to_string(),
    }
}

fn unknown(key: &str, origin: &str, known: impl Iterator<Item = String>) -> Error {
    let nearest = known.map(|name| (distance(key, &name), name)).min();
    let hint = match nearest {
        Some((distance, name)) if distance <= 3 => format!(", did you mean {name}?"),
        _ => String::new(),
    };
    Error::UnknownKey { key: key.to_owned(), origin: origin.to_owned(), hint }
}

/// Levenshtein's distance: how many characters have to be changed.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (b, (up, diagonal)) in to.chars().zip(row.iter().skip(1).zip(&row)) {
            left = (diagonal + usize::from(a != b)).min(left + 1).min(up + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(&self.tree).data()
    }
}
