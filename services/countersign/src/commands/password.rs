//! Reading a password: asked for at a terminal, from a file, or from standard
//! input. Never from the command line.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal, Read},
    path::Path,
};

use countersign_seal::Zeroizing;

use crate::Error;

/// Bytes of the longest password, as in the contract.
const PASSWORD_MAX: usize = 4 * 1024;
/// Bytes that are read at most: room for a line end, and to notice that there is more.
const READ_MAX: usize = PASSWORD_MAX + 2;

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
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * READ_MAX));
    input.take(READ_MAX as u64).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // What is cut off may no longer be a text: the length comes first.
    if line.len() > PASSWORD_MAX {
        let rule = format!("it is longer than {PASSWORD_MAX} bytes");
        return Err(io::Error::new(ErrorKind::InvalidData, rule));
    }
    let text = str::from_utf8(line).map_err(|_| ErrorKind::InvalidData)?;
    Ok(Zeroizing::new(text.to_owned()))
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
    fn the_longest_password_is_read_whole_and_a_longer_one_is_refused() {
        let longest = "é".repeat(PASSWORD_MAX / 2);
        for end in ["", "\n", "\r\n", "\nmore"] {
            let text = format!("{longest}{end}");
            assert_eq!(first_line(text.as_bytes()).unwrap().as_str(), longest, "{end:?}");
        }
        for text in [format!("{longest}x"), longest.repeat(2)] {
            let refused = first_line(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(refused, "it is longer than 4096 bytes");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_a_sentence() {
        let refused = read(&Source::File(Path::new("/no/such/file"))).unwrap_err().to_string();
        assert!(refused.starts_with("cannot read the password from /no/such/file"), "{refused}");
    }
}
