//! Pages of a list that is ordered by id (AIP-158).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use countersign_types::Violation;
use sea_orm::prelude::Uuid;
use sha2::{Digest, Sha256};

/// Resources on a page where the caller names no number.
const SIZE: u64 = 50;
/// The most on a page, as in the contracts.
const SIZE_MAX: u64 = 100;
/// Bytes of the checksum in a page token.
const SUM: usize = 16;

/// A list as one caller asks for it: the RPC, who, and by which filter. A page
/// token of another is refused, and so is one that was changed.
///
/// The checksum has no key: who makes up a token can name a place to go on from
/// in a list that they may see anyway, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// The RPC.
    pub rpc: &'a str,
    /// Who asks.
    pub caller: Uuid,
    /// What for.
    pub filter: &'a str,
}

/// Where a page starts and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Behind this id; from the first on where there is none.
    pub after: Option<Uuid>,
    /// So many.
    pub size: u64,
}

impl List<'_> {
    /// The page that is asked for: `size` as in the contracts, 0 for the usual
    /// one, and the token of the page before, empty for the first.
    ///
    /// # Errors
    /// The broken rule of a token that is none of this list.
    pub fn page(&self, size: i32, token: &str) -> Result<Page, Violation> {
        let size = match u64::try_from(size) {
            Ok(asked @ 1..) => asked.min(SIZE_MAX),
            _ => SIZE,
        };
        if token.is_empty() {
            return Ok(Page { after: None, size });
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        let last = bytes.split_first_chunk::<16>().and_then(|(id, sum)| {
            let last = Uuid::from_bytes(*id);
            (sum == self.sum(last)).then_some(last)
        });
        let rule = "must be the next_page_token of the page before, of the same list";
        match last {
            Some(last) => Ok(Page { after: Some(last), size }),
            None => Err(Violation::new("page_token", "page_token", rule)),
        }
    }

    /// Cuts `rows`, of which one more than a page was read, to the page; returns
    /// the token of the next one, empty where there is none.
    pub fn cut<T>(&self, page: Page, rows: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> String {
        let shown = usize::try_from(page.size).unwrap_or(usize::MAX);
        if rows.len() <= shown {
            return String::new();
        }
        rows.truncate(shown);
        let token = |last: &T| {
            let last = id(last);
            BASE64_URL_SAFE_NO_PAD.encode([last.as_bytes(), &*self.sum(last)].concat())
        };
        rows.last().map(token).unwrap_or_default()
    }

    fn sum(&self, last: Uuid) -> Vec<u8> {
        let mut hash = Sha256::new().chain_update(b"countersign.page\0");
        for text in [self.rpc, self.filter] {
            hash = hash.chain_update(text.len().to_be_bytes()).chain_update(text);
        }
        let hash = hash.chain_update(self.caller).chain_update(last).finalize();
        hash.iter().copied().take(SUM).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_token_is_good_for_its_list_and_unchanged() {
        let caller = Uuid::from_u128(7);
        let list = List { rpc: "a/B", caller, filter: "x" };
        let page = list.page(2, "").unwrap();
        let mut rows: Vec<_> = (1..=3).map(Uuid::from_u128).collect();
        let token = list.cut(page, &mut rows, |id| *id);
        assert_eq!(rows.len(), 2);
        assert_eq!(list.page(500, &token), Ok(Page { after: Some(Uuid::from_u128(2)), size: 100 }));
        assert_eq!(list.cut(page, &mut rows, |id| *id), "");
        for other in [
            List { rpc: "a/C", ..list },
            List { filter: "", ..list },
            List { caller: Uuid::from_u128(8), ..list },
        ] {
            assert!(other.page(0, &token).is_err());
        }
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(list.page(0, &String::from_utf8(changed).unwrap()).is_err(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn any_other_text_is_no_page_token(text in "\\PC{1,60}") {
            let list = List { rpc: "", caller: Uuid::nil(), filter: "" };
            prop_assert!(list.page(0, &text).is_err());
        }
    }
}
