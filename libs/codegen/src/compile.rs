//! Protos to descriptors, without protoc. Owns where imports come from; judges
//! nothing but whether the files are valid protobuf.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use prost_types::FileDescriptorProto;
use protox::{
    Compiler,
    file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver},
};

use crate::error::Error;

/// Imports that are built in, so that no user of the generator needs copies.
const BUILT_IN: [(&str, &str); 5] = [
    ("google/api/annotations.proto", include_str!("../proto/google/api/annotations.proto")),
    ("google/api/http.proto", include_str!("../proto/google/api/http.proto")),
    (
        "countersign/http/v1/success.proto",
        include_str!("../../../proto/countersign/http/v1/success.proto"),
    ),
    ("buf/validate/validate.proto", include_str!("../proto/buf/validate/validate.proto")),
    (
        "countersign/policy/v1/rule.proto",
        include_str!("../../../proto/countersign/policy/v1/rule.proto"),
    ),
];

/// A set of compiled protos.
pub(crate) struct Compiled {
    /// All files, with their imports and their options.
    pub(crate) pool: DescriptorPool,
    /// The same as an encoded `FileDescriptorSet`.
    pub(crate) bytes: Vec<u8>,
    /// All files with their comments, as prost reads them.
    pub(crate) protos: Vec<FileDescriptorProto>,
    own: BTreeSet<String>,
}

struct BuiltIn;

impl FileResolver for BuiltIn {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, source)) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

impl Compiled {
    pub(crate) fn read(protos: &Path, includes: &[PathBuf]) -> Result<Self, Error> {
        let own = find(protos)?;
        let mut resolver = ChainFileResolver::new();
        resolver.add(IncludeFileResolver::new(protos.to_owned()));
        for include in includes {
            resolver.add(IncludeFileResolver::new(include.clone()));
        }
        resolver.add(BuiltIn);
        resolver.add(GoogleFileResolver::new());

        let mut compiler = Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(own.iter().map(|name| protos.join(name))).map_err(proto_error)?;

        // prost-types forgets the options that it does not know; the encoded
        // form keeps them, and is what rules and reflection are read from.
        let bytes = compiler.encode_file_descriptor_set();
        let pool = DescriptorPool::decode(bytes.as_slice())
            .map_err(|error| Error::Proto(error.to_string()))?;
        let protos = compiler.file_descriptor_set().file;
        Ok(Self { pool, bytes, protos, own })
    }

    /// The files for which code is written, by name.
    pub(crate) fn files(&self) -> impl Iterator<Item = FileDescriptor> + '_ {
        self.own.iter().filter_map(|name| self.pool.get_file_by_name(name))
    }

    /// Whether code is written for the message.
    pub(crate) fn owns(&self, message: &MessageDescriptor) -> bool {
        self.own.contains(message.parent_file().name())
    }

    /// The messages of a file, with the nested ones, without the entries of maps.
    pub(crate) fn messages(file: &FileDescriptor) -> Vec<MessageDescriptor> {
        let mut found = Vec::new();
        let mut waiting: Vec<_> = file.messages().collect();
        waiting.reverse();
        while let Some(message) = waiting.pop() {
            if message.is_map_entry() {
                continue;
            }
            waiting.extend(message.child_messages());
            found.push(message);
        }
        found
    }
}

/// The import names of all protos under the folder.
fn find(root: &Path) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        let failed = |source: io::Error| Error::Read { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto")
                && let Ok(relative) = path.strip_prefix(root)
            {
                let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
                names.insert(parts.join("/"));
            }
        }
    }
    Ok(names)
}

/// protox tells file, line and column in its `Debug` form.
fn proto_error(error: protox::Error) -> Error {
    Error::Proto(format!("{error:?}"))
}
