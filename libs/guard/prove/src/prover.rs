//! Asks the symbolic compiler, RPC by RPC.

use std::{fs, path::Path};

use cedar_policy::{Policy, PolicyId, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env, solver::LocalSolver,
};

use crate::{Claim, Error, Property, property::files};

/// What became of one property on one RPC.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The property.
    pub property: String,
    /// The RPC.
    pub rpc: String,
    /// A request that breaks it; none where it is proved.
    pub counterexample: Option<String>,
}

/// Policies with the schema over which they are written.
pub struct Prover {
    schema: Schema,
    policies: PolicySet,
    solver: CedarSymCompiler<LocalSolver>,
}

impl Prover {
    /// Reads the schema and the policies of all folders, and starts the solver:
    /// the program that the variable `CVC5` names, or `cvc5`.
    ///
    /// # Errors
    /// [`Error`] names the file, or says that there is no solver.
    pub fn new(schema: &Path, folders: &[impl AsRef<Path>]) -> Result<Self, Error> {
        let text = fs::read_to_string(schema)
            .map_err(|source| Error::Read { path: schema.to_owned(), source })?;
        let wrong = |reason: String| Error::Content { path: schema.to_owned(), reason };
        let (schema, _) =
            Schema::from_cedarschema_str(&text).map_err(|error| wrong(error.to_string()))?;
        let mut policies = PolicySet::new();
        for folder in folders {
            for (path, text) in files(folder.as_ref(), "cedar")? {
                let wrong = |reason: String| Error::Content { path: path.clone(), reason };
                for policy in named(&text).map_err(wrong)? {
                    policies.add(policy).map_err(|error| wrong(error.to_string()))?;
                }
            }
        }
        let solver = LocalSolver::cvc5().map_err(|error| Error::Solver(error.to_string()))?;
        let solver =
            CedarSymCompiler::new(solver).map_err(|error| Error::Solver(error.to_string()))?;
        Ok(Self { schema, policies, solver })
    }

    /// Tries to prove a property of each RPC that it speaks of.
    ///
    /// # Errors
    /// [`Error::Content`] where it speaks of an RPC that does not exist;
    /// [`Error::Undecided`] where it does not fit the RPC or the solver gives up.
    pub async fn prove(&mut self, property: &Property) -> Result<Vec<Finding>, Error> {
        let mut environments: Vec<_> = self.schema.request_envs().collect();
        environments.sort_by_key(|environment| rpc(environment).to_owned());
        let unknown =
            property.rpcs.iter().chain(&property.except).find(|name| {
                !environments.iter().any(|environment| rpc(environment) == name.as_str())
            });
        if let Some(name) = unknown {
            let reason = format!("policies decide on no RPC {name:?}");
            return Err(Error::Content { path: property.file.clone(), reason });
        }
        let mut findings = Vec::new();
        for environment in environments {
            if property.speaks_of(rpc(&environment)) {
                let counterexample = self.refute(&property.claim, &environment).await;
                let counterexample = counterexample.map_err(|reason| Error::Undecided {
                    property: property.name.clone(),
                    rpc: rpc(&environment).to_owned(),
                    reason,
                })?;
                let (property, rpc) = (property.name.clone(), rpc(&environment).to_owned());
                findings.push(Finding { property, rpc, counterexample });
            }
        }
        Ok(findings)
    }

    /// A request that breaks the claim.
    async fn refute(
        &mut self,
        claim: &Claim,
        environment: &RequestEnv,
    ) -> Result<Option<String>, String> {
        if let Claim::NeverErrs = claim {
            return self.erring(environment).await;
        }
        let compiled = self.compiled(&self.policies, environment)?;
        let solver = &mut self.solver;
        let found = match claim {
            Claim::NeverErrs => None,
            Claim::NotAlwaysAllowed => {
                let always = solver.check_always_allows_opt(&compiled).await;
                return Ok(always.map_err(text)?.then(|| "every request is allowed".to_owned()));
            }
            Claim::AtMost(bound) => {
                let bound = bound_to(bound, environment, &self.schema)?;
                solver
                    .check_implies_with_counterexample_opt(&compiled, &bound)
                    .await
                    .map_err(text)?
            }
            Claim::AtLeast(bound) => {
                let bound = bound_to(bound, environment, &self.schema)?;
                solver
                    .check_implies_with_counterexample_opt(&bound, &compiled)
                    .await
                    .map_err(text)?
            }
            Claim::Never(barred) => {
                let barred = bound_to(barred, environment, &self.schema)?;
                let found = solver.check_disjoint_with_counterexample_opt(&compiled, &barred).await;
                found.map_err(text)?
            }
        };
        Ok(found.as_ref().map(shown))
    }

    async fn erring(&mut self, environment: &RequestEnv) -> Result<Option<String>, String> {
        for policy in self.policies.policies() {
            let compiled =
                CompiledPolicy::compile(policy, environment, &self.schema).map_err(text)?;
            let found = self.solver.check_never_errors_with_counterexample_opt(&compiled).await;
            if let Some(found) = found.map_err(text)? {
                return Ok(Some(format!("{} fails on {}", policy.id(), shown(&found))));
            }
        }
        Ok(None)
    }

    fn compiled(
        &self,
        policies: &PolicySet,
        environment: &RequestEnv,
    ) -> Result<CompiledPolicySet, String> {
        compile(policies, environment, &self.schema)
    }
}

fn compile(
    policies: &PolicySet,
    environment: &RequestEnv,
    schema: &Schema,
) -> Result<CompiledPolicySet, String> {
    CompiledPolicySet::compile(policies, environment, schema).map_err(text)
}

/// The same for the policies of a property.
fn bound_to(
    policies: &PolicySet,
    environment: &RequestEnv,
    schema: &Schema,
) -> Result<CompiledPolicySet, String> {
    let misfit = |reason| format!("the policies of the property do not fit this RPC: {reason}");
    compile(policies, environment, schema).map_err(misfit)
}

/// The policies of a text, each by its `@id`.
fn named(text: &str) -> Result<Vec<Policy>, String> {
    let set: PolicySet =
        text.parse().map_err(|error: cedar_policy::ParseErrors| error.to_string())?;
    let named = set.policies().map(|policy| match policy.annotation("id") {
        Some(id) => Ok(policy.new_id(PolicyId::new(id))),
        None => Err("a policy has no @id".to_owned()),
    });
    named.collect()
}

fn rpc(environment: &RequestEnv) -> &str {
    environment.action().id().unescaped()
}

fn text(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The request with what is known of who and what is in it.
fn shown(found: &Env) -> String {
    let named = |uid: Option<&cedar_policy::EntityUid>| match uid {
        Some(uid) => match found.entities.get(uid).map(cedar_policy::Entity::to_json_value) {
            Some(Ok(json)) => format!(
                "{uid} {} in {}",
                json.get("attrs").map(ToString::to_string).unwrap_or_default(),
                json.get("parents").map(ToString::to_string).unwrap_or_default()
            ),
            _ => uid.to_string(),
        },
        None => "anybody".to_owned(),
    };
    let request = &found.request;
    let context = request.context().and_then(|context| context.to_json_value().ok());
    format!(
        "\n      principal {}\n      resource  {}\n      context   {}",
        named(request.principal()),
        named(request.resource()),
        context.unwrap_or_default()
    )
}
