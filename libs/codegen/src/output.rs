//! What is written, and where: the only place that touches the output folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use prost_build::{Config, Module};

use crate::{
    compile::Compiled,
    debug,
    error::Error,
    handlers::Handlers,
    rules::{Access, Contract},
    validation::Implementations,
};

/// The head of the root file.
const HEAD: &str = r#"
/// The descriptors of all contracts and their imports, with options and
/// comments: an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.binpb"));
"#;

/// A policy file: its name and its text.
pub(crate) type PolicyFile = (String, String);

/// Everything that is checked and ready to be written.
pub(crate) struct Artifacts {
    pub(crate) compiled: Compiled,
    pub(crate) contract: Contract,
    pub(crate) validation: Implementations,
    pub(crate) schema: String,
    /// None where they could not be checked.
    pub(crate) policies: Option<Vec<PolicyFile>>,
}

/// Modules by name, as they lie in each other.
#[derive(Default)]
struct Tree {
    package: Option<String>,
    inner: BTreeMap<String, Tree>,
}

/// Tells cargo to run the build script again when one of the folders changes.
pub(crate) fn announce<'a>(folders: impl Iterator<Item = &'a PathBuf>) -> Result<(), Error> {
    let mut cargo = io::stdout().lock();
    for path in folders {
        writeln!(cargo, "cargo::rerun-if-changed={}", path.display())
            .map_err(|source| Error::Write { path: path.clone(), source })?;
    }
    Ok(())
}

/// Writes all files.
pub(crate) fn write(folder: &Path, artifacts: Artifacts) -> Result<(), Error> {
    let Artifacts { compiled, contract, validation, schema, policies } = artifacts;
    let mut root = HEAD.to_owned();
    root.push_str(&server_constants(&contract, &schema, policies.as_deref()));

    let redacted = debug::redacted(&compiled);
    let mut config = Config::new();
    config
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .btree_map(["."])
        .skip_debug(redacted.iter().map(|message| format!(".{}", message.full_name())))
        .service_generator(Box::new(Handlers::new(Arc::new(contract))));

    let mut tree = Tree::default();
    for (module, package, messages) in generate(&mut config, &compiled)? {
        let mut text = messages;
        text.push_str(&validation.of_package(&package));
        text.push_str(&debug::implementations(&redacted, &package));
        store_rust(folder, &module.to_file_name_or("_"), &text)?;
        tree.add(&module, package);
    }
    tree.append(&mut root);
    store_rust(folder, "contracts.rs", &root)?;
    // For `countersign policy`, which reads a schema from a file.
    store(folder, "schema.cedarschema", schema.as_bytes())?;
    store(folder, "descriptor_set.binpb", &compiled.bytes)
}

/// The packages as prost writes them: module, package, text. prost wants to see
/// the imports as well; what it writes for them is left out.
fn generate(
    config: &mut Config,
    compiled: &Compiled,
) -> Result<Vec<(Module, String, String)>, Error> {
    let files = compiled.protos.iter().cloned();
    let requests: Vec<_> =
        files.map(|file| (Module::from_protobuf_package_name(file.package()), file)).collect();
    let mut texts = config.generate(requests).map_err(Error::Generate)?;
    let packages: BTreeSet<_> =
        compiled.files().map(|file| file.package_name().to_owned()).collect();
    Ok(packages
        .into_iter()
        .filter_map(|package| {
            let module = Module::from_protobuf_package_name(&package);
            texts.remove(&module).map(|text| (module, package, text))
        })
        .collect())
}

fn server_constants(contract: &Contract, schema: &str, policies: Option<&[PolicyFile]>) -> String {
    let mut rules = String::new();
    for (rpc, rule) in &contract.rpcs {
        let access = match &rule.access {
            Access::Public => "Public".to_owned(),
            Access::Service => "Policy { resource: \"Service\" }".to_owned(),
            Access::Resource { kind, .. } => format!("Policy {{ resource: {kind:?} }}"),
            Access::List { kind } => format!("List {{ resource: {kind:?} }}"),
        };
        let mut more = String::new();
        if let Some(limit) = rule.max_staleness {
            let (secs, nanos) = (limit.as_secs(), limit.subsec_nanos());
            more = format!(".max_staleness(::core::time::Duration::new({secs}, {nanos}))");
        }
        if rule.streams_requests {
            more.push_str(".streams_requests()");
        }
        let _ = writeln!(
            rules,
            "    ::countersign_guard::Rule::new({rpc:?}, ::countersign_guard::Access::{access}){more},"
        );
    }
    format!(
        r#"
/// Who may call which RPC. An RPC that is not in this table is refused.
#[cfg(feature = "server")]
pub const RULES: &[::countersign_guard::Rule] = &[
{rules}];

/// The schema over which policies are written, in Cedar's own syntax.
#[cfg(feature = "server")]
pub const CEDAR_SCHEMA: &str = {schema:?};

"#
    ) + &policies.map(policy_constant).unwrap_or_default()
}

fn policy_constant(policies: &[PolicyFile]) -> String {
    let policies: String =
        policies.iter().map(|(name, text)| format!("    ({name:?}, {text:?}),\n")).collect();
    format!(
        r#"
/// The policies that come with the contracts: the name of each file and its text.
#[cfg(feature = "server")]
pub const BASE_POLICIES: &[(&str, &str)] = &[
{policies}];
"#
    )
}

impl Tree {
    fn add(&mut self, module: &Module, package: String) {
        let mut tree = self;
        for part in module.parts() {
            tree = tree.inner.entry(part.to_owned()).or_default();
        }
        tree.package = Some(package);
    }

    fn append(&self, text: &mut String) {
        if let Some(package) = &self.package {
            let file = Module::from_protobuf_package_name(package).to_file_name_or("_");
            let _ = writeln!(text, "include!(concat!(env!(\"OUT_DIR\"), \"/{file}\"));");
        }
        for (name, tree) in &self.inner {
            let about = match tree.package.as_deref() {
                Some(package) => format!("The package `{package}`."),
                None => format!("The packages of `{name}`."),
            };
            let _ = writeln!(text, "/// {about}\npub mod {name} {{");
            tree.append(text);
            text.push_str("}\n");
        }
    }
}

/// Writes code in the usual format, for whoever follows a name into it.
fn store_rust(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let file = syn::parse_file(text).map_err(|error| {
        Error::Generate(io::Error::other(format!("{name} is no Rust: {error}")))
    })?;
    let text = format!("// @generated by countersign-codegen\n{}", prettyplease::unparse(&file));
    store(folder, name, text.as_bytes())
}

/// Writes a file unless it holds the same bytes already.
fn store(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
}
