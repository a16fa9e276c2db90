//! Reading a password: asked for at a terminal, from a file, or from standard
//! input. Never from the command line.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use countersign_seal::Zeroizing;

use crate::Error;

/// Bytes that are read at most; no password may be longer than a part of it.
const READ_MAX: u64 = 4 * 1024;

/// Where the password comes from.
pub(super) enum Source<'a> {
    /// The first line of a file.
    File(&'a Path),
    /// The first line of standard input.
    Stdin,
    /// A person, who types it twice.
    Terminal,
}

pub(super) fn read(source: &Source<'_>) -> Result<Zeroizing<String>, Error> {
    match source {
        Source::File(path) => {
            let origin = path.display().to_string();
            File::open(path).and_then(first_line).map_err(failed(&origin))
        }
        Source::Stdin => first_line(io::stdin()).map_err(failed("standard input")),
        Source::Terminal if !io::stdin().is_terminal() => Err(Error::NoPassword),
        Source::Terminal => {
            let password = ask("Password: ")?;
            let again = ask("The same again: ")?;
            if password == again { Ok(password) } else { Err(Error::PasswordsDiffer) }
        }
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(failed("the terminal"))
}

fn failed(origin: &str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Password { origin: origin.to_owned(), source }
}

fn first_line(input: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(READ_MAX as usize));
    input.take(READ_MAX).read_to_string(&mut text)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password_with_its_blanks() {
        for (text, password) in
            [("a b \nc\n", "a b "), ("secret", "secret"), ("crlf\r\n", "crlf"), ("", "")]
        {
            assert_eq!(first_line(text.as_bytes()).unwrap().as_str(), password, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_a_sentence() {
        let refused = read(&Source::File(Path::new("/no/such/file"))).unwrap_err().to_string();
        assert!(refused.starts_with("cannot read the password from /no/such/file"), "{refused}");
    }
}
