//! Argon2id hashes in PHC form, with an optional pepper. It computes on the
//! thread that calls it: only the pool's threads do.

use std::{fs::File, io::Read, os::unix::fs::MetadataExt, path::Path};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, KeyId, Params, ParamsBuilder, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use countersign_types::is_private;
use rustix::process::geteuid;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Password, memory::Memory};
use crate::{Error, config::HashingConfig};

/// Bytes of a hash.
const OUTPUT_LEN: usize = 32;
/// Bytes of a salt (RFC 9106, section 3.1).
const SALT_LEN: usize = 16;
const PEPPER_MIN: usize = 16;
const PEPPER_MAX: u64 = 1024;
/// No hash of ours needs more memory: a damaged row must not take all there is.
const MEMORY_KIB_MAX: u32 = 1_048_576;

/// Makes and verifies hashes with the configured parameters.
pub(crate) struct Hasher {
    params: Params,
    pepper: Option<Pepper>,
    dummy: String,
}

/// A secret that goes into every hash (the secret key `K` of RFC 9106).
pub(crate) struct Pepper {
    secret: Zeroizing<Vec<u8>>,
    id: [u8; KeyId::MAX_LEN],
}

/// What verifying a password has shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is the password.
    Right {
        /// A new hash to store, where the stored one is weaker than the settings ask for.
        rehashed: Option<String>,
    },
}

impl Pepper {
    /// Reads a pepper from a file; a line end behind it does not count.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::PepperExposed`], [`Error::PepperLength`].
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut secret = Zeroizing::new(Vec::with_capacity(2048));
        let file = File::open(path).map_err(failed)?;
        // Asked of the open file: the path may point elsewhere a moment later.
        let about = file.metadata().map_err(failed)?;
        if !is_private(about.mode(), about.uid(), geteuid().as_raw()) {
            return Err(Error::PepperExposed(path.to_owned()));
        }
        file.take(PEPPER_MAX + 3).read_to_end(&mut secret).map_err(failed)?;
        while secret.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            secret.pop();
        }
        let most = usize::try_from(PEPPER_MAX).unwrap_or(usize::MAX);
        if !(PEPPER_MIN..=most).contains(&secret.len()) {
            return Err(Error::PepperLength(path.to_owned()));
        }
        let mut id = [0; KeyId::MAX_LEN];
        let digest = Sha256::new()
            .chain_update(b"countersign/pepper-id/v1")
            .chain_update(&*secret)
            .finalize();
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Ok(Self { secret, id })
    }

    /// A fingerprint, 16 hexadecimal digits.
    pub(crate) fn id(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Hasher {
    /// A hasher with these settings.
    ///
    /// # Errors
    /// [`Error::Hashing`] for parameters that Argon2 does not take.
    pub(crate) fn new(config: &HashingConfig, pepper: Option<Pepper>) -> Result<Self, Error> {
        let mut params = ParamsBuilder::new();
        params
            .m_cost(config.memory_kib)
            .t_cost(config.iterations)
            .p_cost(config.parallelism)
            .output_len(OUTPUT_LEN);
        if let Some(pepper) = &pepper {
            params.keyid(KeyId::new(&pepper.id).map_err(password_hash::Error::from)?);
        }
        let params = params.build().map_err(password_hash::Error::from)?;
        // No password leads to random bytes: the dummy only has to cost the same.
        let (salt, output) = (random::<SALT_LEN>()?, random::<OUTPUT_LEN>()?);
        let dummy = phc(&params, &salt, &output)?;
        Ok(Self { params, pepper, dummy })
    }

    /// The hash of a password under a new salt.
    ///
    /// # Errors
    /// [`Error::Hashing`].
    pub(crate) fn hash(&self, password: &Password, memory: &mut Memory) -> Result<String, Error> {
        let salt = random::<SALT_LEN>()?;
        let output = self.compute(&self.params, password, &salt, memory)?;
        phc(&self.params, &salt, output.as_slice())
    }

    /// Compares a password with a stored hash, or with the dummy where there
    /// is none: that costs the same and is never right.
    ///
    /// # Errors
    /// [`Error::Hashing`] for a stored hash that can not be read, and
    /// [`Error::OtherPepper`] for one that was made with another pepper.
    pub(crate) fn verify(
        &self,
        password: &Password,
        stored: Option<&str>,
        memory: &mut Memory,
    ) -> Result<Verdict, Error> {
        let hash = PasswordHash::new(stored.unwrap_or(&self.dummy)).map_err(malformed)?;
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return Err(Error::Hashing(password_hash::Error::EncodingInvalid));
        };
        if hash.algorithm != ARGON2ID_IDENT || hash.version != Some(Version::V0x13.into()) {
            return Err(Error::Hashing(password_hash::Error::Algorithm));
        }
        let params = Params::try_from(&hash)?;
        if params.m_cost() > MEMORY_KIB_MAX || expected.len() != OUTPUT_LEN {
            return Err(Error::Hashing(password_hash::Error::ParamsInvalid));
        }
        let computed = self.compute(&params, password, salt, memory)?;
        // `Output` compares in constant time.
        let right = Output::new(computed.as_slice()).map_err(malformed)? == *expected;
        if !right || stored.is_none() {
            return Ok(Verdict::Wrong);
        }
        let rehashed = match self.is_weaker(&params) {
            true => Some(self.hash(password, memory)?),
            false => None,
        };
        Ok(Verdict::Right { rehashed })
    }

    fn is_weaker(&self, stored: &Params) -> bool {
        stored.m_cost() < self.params.m_cost()
            || stored.t_cost() < self.params.t_cost()
            || stored.p_cost() < self.params.p_cost()
            || stored.keyid() != self.params.keyid()
    }

    fn compute(
        &self,
        params: &Params,
        password: &Password,
        salt: &[u8],
        memory: &mut Memory,
    ) -> Result<Zeroizing<[u8; OUTPUT_LEN]>, Error> {
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let argon2 = match (params.keyid(), &self.pepper) {
            ([], _) => Argon2::new(algorithm, version, params.clone()),
            (id, Some(pepper)) if id == pepper.id => {
                Argon2::new_with_secret(&pepper.secret, algorithm, version, params.clone())
                    .map_err(password_hash::Error::from)?
            }
            _ => return Err(Error::OtherPepper),
        };
        let mut output = Zeroizing::new([0; OUTPUT_LEN]);
        argon2
            .hash_password_into_with_memory(
                password.as_bytes(),
                salt,
                output.as_mut_slice(),
                memory.blocks(params.block_count()),
            )
            .map_err(password_hash::Error::from)?;
        Ok(output)
    }
}

fn phc(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, Error> {
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params)?,
        salt: Some(Salt::new(salt).map_err(malformed)?),
        hash: Some(Output::new(output).map_err(malformed)?),
    };
    Ok(hash.to_string())
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Hashing(password_hash::Error::RngFailure))?;
    Ok(bytes)
}

fn malformed(_: password_hash::phc::Error) -> Error {
    Error::Hashing(password_hash::Error::EncodingInvalid)
}
