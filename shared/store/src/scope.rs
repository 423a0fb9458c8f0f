//! Whose data a statement may touch.

use crate::Value;
use domain::OrganizationPath;

/// The part of the organization tree that a caller acts in: one organization and all below it. Every function that
/// reads or writes tenant data takes one and puts it into its WHERE.
#[derive(Clone, Debug)]
pub struct Scope(OrganizationPath);

impl Scope {
    /// The scope of whoever acts in the organization at this path. `web` makes it from the caller's identity, a job
    /// from the organization it works for.
    pub fn below(path: OrganizationPath) -> Self {
        Self(path)
    }

    /// The path at the scope's top.
    pub fn path(&self) -> &OrganizationPath {
        &self.0
    }

    /// A statement's own parameters, followed by the two bounds of the scope.
    pub fn after(&self, mut params: Vec<Value>) -> Vec<Value> {
        params.extend([self.from(), self.until()]);
        params
    }

    /// The lower bound of `path` in the scope: `path >= from`.
    pub fn from(&self) -> Value {
        Value::Text(self.0.as_str().to_owned())
    }

    /// The upper bound of `path` in the scope: `path < until`.
    pub fn until(&self) -> Value {
        Value::Text(self.0.range_end())
    }
}
