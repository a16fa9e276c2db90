//! The words that attackers try first: the embedded list, a file, and the
//! words of a place and a person. Only hashes of them are kept.

use std::{
    collections::HashSet,
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use countersign_types::Email;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use zeroize::Zeroizing;

use crate::Error;

/// Base words of common passwords; what people append to them is found by the way of guessing.
pub(super) const COMMON: &str = include_str!("common.txt");

/// The largest file of words that is read.
const FILE_MAX: u64 = 64 << 20;
/// Shorter words say nothing: every text is full of them.
const WORD_MIN: usize = 3;

/// A set of words. Spelling does not matter: case, accents and look-alike
/// digits (`p4ssw0rd`) are folded away.
pub(super) struct Words {
    hash: RandomState,
    common: HashSet<u64>,
    context: HashSet<u64>,
}

/// Characters of what may be a password: wiped when they go.
pub(super) type Folded = Zeroizing<Vec<char>>;

/// A text in lower case and without accents; sequences are looked for in it.
pub(super) fn fold(text: &str) -> Folded {
    // Room enough that no half of a password stays behind in a freed buffer.
    let mut folded = Zeroizing::new(Vec::with_capacity(text.len().saturating_mul(4)));
    let bare = text.nfkd().filter(|c| !is_combining_mark(*c));
    folded.extend(bare.flat_map(char::to_lowercase));
    folded
}

/// A folded text with the digits and signs that stand for letters replaced;
/// words are looked for in it. Each character keeps its place.
pub(super) fn skeleton(folded: &[char]) -> Folded {
    let letter = |c: &char| match c {
        '0' => 'o',
        '1' | '!' | '|' | 'l' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '6' | '9' => 'g',
        other => *other,
    };
    Zeroizing::new(folded.iter().map(letter).collect())
}

impl Words {
    /// The embedded list.
    pub(super) fn common() -> Self {
        let hash = RandomState::new();
        let common = COMMON
            .split_whitespace()
            .map(|word| hash.hash_one(skeleton(&fold(word)).as_slice()))
            .collect();
        Self { hash, common, context: HashSet::new() }
    }

    /// Adds the words of a place: the text as a whole, and each word in it.
    pub(super) fn add_context(&mut self, text: &str) {
        let words = words_in(text).into_iter().map(|word| self.key(&word)).collect::<Vec<_>>();
        self.context.extend(words);
    }

    /// Adds the lines of a file to the list.
    ///
    /// # Errors
    /// [`Error::File`], also for a file that is too large.
    pub(super) fn read_file(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > FILE_MAX {
            return Err(failed(io::Error::other("larger than 64 MiB")));
        }
        for line in BufReader::new(file.take(FILE_MAX)).lines() {
            let line = line.map_err(failed)?;
            let word = skeleton(&fold(line.trim_end_matches('\r')));
            if word.len() >= WORD_MIN {
                self.common.insert(self.key(&word));
            }
        }
        Ok(())
    }

    /// The words of a person's address: the part before the `@` and the names
    /// in the domain, without the last one.
    pub(super) fn of_address(&self, email: &Email) -> HashSet<u64> {
        let domain = email.as_str().rsplit_once('@').map_or("", |(_, domain)| domain);
        let names = domain.rsplit_once('.').map_or("", |(names, _)| names);
        let labels = names.split('.').chain([email.local_part()]);
        labels.flat_map(words_in).map(|word| self.key(&word)).collect()
    }

    /// Whether a piece of a skeleton is a word of the list.
    pub(super) fn is_common(&self, piece: &[char]) -> bool {
        self.common.contains(&self.key(piece))
    }

    /// Whether a piece of a skeleton is a word of the place, or one of `own`.
    pub(super) fn is_context(&self, piece: &[char], own: &HashSet<u64>) -> bool {
        let key = self.key(piece);
        self.context.contains(&key) || own.contains(&key)
    }

    fn key(&self, skeleton: &[char]) -> u64 {
        self.hash.hash_one(skeleton)
    }
}

/// The skeletons of a text: as written, without what is no letter or digit,
/// and each word in it.
fn words_in(text: &str) -> Vec<Folded> {
    let folded = fold(text);
    let joined: Vec<char> = folded.iter().copied().filter(|c| c.is_alphanumeric()).collect();
    let words = folded.split(|c| !c.is_alphabetic()).map(<[char]>::to_vec);
    let all = words.chain([joined, folded.to_vec()]);
    all.filter(|word| word.len() >= WORD_MIN).map(|word| skeleton(&word)).collect()
}
