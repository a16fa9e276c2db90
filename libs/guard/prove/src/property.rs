//! What is to hold, as files that anybody can add to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cedar_policy::PolicySet;
use serde::Deserialize;

use crate::Error;

/// Something that is to hold of the policies.
pub struct Property {
    /// What is to hold, as a sentence.
    pub name: String,
    /// The RPCs of which it is to hold; empty for all.
    pub rpcs: Vec<String>,
    /// RPCs of which it need not hold.
    pub except: Vec<String>,
    /// What is to hold.
    pub claim: Claim,
    /// Where it is written.
    pub file: PathBuf,
}

/// A kind of property.
pub enum Claim {
    /// No policy can fail to evaluate.
    NeverErrs,
    /// Some request is denied.
    NotAlwaysAllowed,
    /// Nothing is allowed that these policies do not allow.
    AtMost(PolicySet),
    /// Everything is allowed that these policies allow.
    AtLeast(PolicySet),
    /// Nothing is allowed that these policies allow.
    Never(PolicySet),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    claim: Kind,
    #[serde(default)]
    rpcs: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    policies: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    NeverErrs,
    NotAlwaysAllowed,
    AtMost,
    AtLeast,
    Never,
}

impl Property {
    /// The properties of a folder (`*.toml`), in the order of their names.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Content`] names the file.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, Error> {
        files(folder, "toml")?.into_iter().map(|(file, text)| Self::read(file, &text)).collect()
    }

    fn read(file: PathBuf, text: &str) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Content { path: file.clone(), reason };
        let Written { name, claim, rpcs, except, policies } =
            toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let compared = !matches!(claim, Kind::NeverErrs | Kind::NotAlwaysAllowed);
        if compared == policies.is_empty() {
            let needs =
                if compared { "needs `policies` to compare with" } else { "takes no `policies`" };
            return Err(wrong(format!("its claim {needs}")));
        }
        let policies: PolicySet = policies
            .parse()
            .map_err(|error: cedar_policy::ParseErrors| wrong(error.to_string()))?;
        let claim = match claim {
            Kind::NeverErrs => Claim::NeverErrs,
            Kind::NotAlwaysAllowed => Claim::NotAlwaysAllowed,
            Kind::AtMost => Claim::AtMost(policies),
            Kind::AtLeast => Claim::AtLeast(policies),
            Kind::Never => Claim::Never(policies),
        };
        Ok(Self { name, rpcs, except, claim, file })
    }

    /// Whether it is to hold of an RPC.
    #[must_use]
    pub fn speaks_of(&self, rpc: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|name| name == rpc);
        (self.rpcs.is_empty() || names(&self.rpcs)) && !names(&self.except)
    }
}

/// The files of a folder whose names end so, with their texts.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<(PathBuf, String)>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| Error::Read { path, source }
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}
