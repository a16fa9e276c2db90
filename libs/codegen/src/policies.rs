//! The base policies: the files, and whether they hold.

mod check;
// The guard's own reading of it: what holds here holds there.
#[path = "../../guard/src/policies/step_up/need.rs"]
mod need;

use std::{fs, io, path::Path};

pub(crate) use check::check;

use crate::{error::Error, output::PolicyFile};

/// Reads all `*.cedar` files of the folder, in the order of their names.
pub(crate) fn read(folder: &Path) -> Result<Vec<PolicyFile>, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| Error::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path).map_err(failed(&path))?));
        }
    }
    files.sort();
    Ok(files)
}
