//! The templates of paths, as `google.api.http` writes them:
//! `/users/{user_id}/sessions:revoke`, `/v1/{name=shelves/*/books/*}`, `/files/**`.

use crate::path::Path;

/// A template, ready to be compared with paths.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    segments: Vec<Segment>,
    /// Whether any number of segments may follow.
    open: bool,
    verb: Option<String>,
    captures: Vec<Capture>,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    Any,
}

/// A field, and which segments it takes its value from.
#[derive(Debug)]
struct Capture {
    field: String,
    from: usize,
    /// How many; `None` for all that are left.
    count: Option<usize>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self {
            text: text.to_owned(),
            segments: Vec::new(),
            open: false,
            verb: None,
            captures: Vec::new(),
        };
        let mut rest = text.strip_prefix('/').ok_or("has a path that does not begin with /")?;
        loop {
            rest = match rest.strip_prefix('{') {
                Some(inner) => {
                    let (variable, rest) = inner.split_once('}').ok_or("leaves a { open")?;
                    template.capture(variable)?;
                    rest
                }
                None => {
                    let end = rest.find(['/', ':']).unwrap_or(rest.len());
                    let (segment, rest) = rest.split_at(end);
                    template.push(segment)?;
                    rest
                }
            };
            if let Some(next) = rest.strip_prefix('/') {
                rest = next;
            } else if let Some(verb) = rest.strip_prefix(':') {
                template.verb = Some(literal(verb)?);
                return Ok(template);
            } else if rest.is_empty() {
                return Ok(template);
            } else {
                return Err("has something behind a }".to_owned());
            }
        }
    }

    fn capture(&mut self, variable: &str) -> Result<(), String> {
        let (field, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
        let from = self.segments.len();
        for segment in pattern.split('/') {
            self.push(segment)?;
        }
        let count = (!self.open).then_some(self.segments.len() - from);
        self.captures.push(Capture { field: field.to_owned(), from, count });
        Ok(())
    }

    fn push(&mut self, segment: &str) -> Result<(), String> {
        if self.open {
            return Err("has something behind **".to_owned());
        }
        match segment {
            "**" => self.open = true,
            "*" => self.segments.push(Segment::Any),
            text => self.segments.push(Segment::Literal(literal(text)?)),
        }
        Ok(())
    }

    /// The template as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The paths of the fields that the path gives.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|capture| capture.field.as_str())
    }

    /// Whether some path fits both.
    pub(crate) fn shape(&self) -> (Vec<Option<&str>>, bool, Option<&str>) {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::Any => None,
        });
        (segments.collect(), self.open, self.verb.as_deref())
    }

    /// How much of it is not literal: the less, the sooner it is tried.
    pub(crate) fn vagueness(&self) -> usize {
        let any = self.segments.iter().filter(|segment| matches!(segment, Segment::Any)).count();
        any + if self.open { 1000 } else { 0 }
    }

    /// The values of its fields, where the path fits.
    pub(crate) fn read<'a>(&'a self, path: &Path) -> Option<Vec<(&'a str, String)>> {
        let enough = path.segments.len() == self.segments.len()
            || self.open && path.segments.len() > self.segments.len();
        let fits = |(segment, text): (&Segment, &String)| match segment {
            Segment::Literal(literal) => literal == text,
            Segment::Any => true,
        };
        if !enough || path.verb != self.verb || !self.segments.iter().zip(&path.segments).all(fits)
        {
            return None;
        }
        let value = |capture: &'a Capture| {
            let segments = path.segments.iter().skip(capture.from);
            let segments = segments.take(capture.count.unwrap_or(usize::MAX));
            let value: Vec<&str> = segments.map(String::as_str).collect();
            (capture.field.as_str(), value.join("/"))
        };
        Some(self.captures.iter().map(value).collect())
    }
}

fn literal(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    if text.is_empty() || !text.chars().all(fine) {
        return Err(format!("has the segment {text:?} in its path"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(template: &str, path: &str) -> Option<String> {
        let template = Template::parse(template).unwrap();
        let values = template.read(&Path::read(path).unwrap())?;
        let values: Vec<_> = values.iter().map(|(field, text)| format!("{field}={text}")).collect();
        Some(values.join(" "))
    }

    #[test]
    fn a_template_reads_the_paths_that_fit_it() {
        for (template, path, values) in [
            ("/auth/login", "/auth/login", Some("")),
            ("/auth/login", "/auth/login:now", None),
            ("/users/{user_id}/profile", "/users/me/profile", Some("user_id=me")),
            ("/users/{user_id}/profile", "/users/me", None),
            ("/users/{user_id}", "/users/me/profile", None),
            ("/users/{user_id}:stop", "/users/me:stop", Some("user_id=me")),
            ("/users/{user_id}:stop", "/users/me", None),
            ("/{name=shelves/*/books/*}", "/shelves/1/books/2", Some("name=shelves/1/books/2")),
            ("/{name=shelves/*/books/*}", "/shelves/1/films/2", None),
            ("/files/{path=**}", "/files/a/b/c", Some("path=a/b/c")),
            ("/files/**", "/files/a/b", Some("")),
            ("/{a.b}/x/{c}", "/1/x/2", Some("a.b=1 c=2")),
        ] {
            assert_eq!(read(template, path).as_deref(), values, "{template} {path}");
        }
    }

    #[test]
    fn a_broken_template_is_refused() {
        for text in ["", "a", "/", "/a/", "/a//b", "/{a", "/{a}b", "/**/a", "/a b", "/a:", "/%41"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
