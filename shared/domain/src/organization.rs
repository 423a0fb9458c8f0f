//! Organizations and the tree they form.

use crate::{Error, Id, Result, id, text_enum};
use std::fmt;

text_enum! {
    /// What an organization is. The kinds are ranked: an organization stands below one of a higher rank, and levels
    /// may be absent.
    pub enum OrganizationKind {
        /// Runs the hub; the root of the tree.
        Operator = "OPERATOR",
        /// Signs commit contracts with providers (an aggregator).
        Distributor = "DISTRIBUTOR",
        /// Sells through providers.
        Reseller = "RESELLER",
        /// Provisions services to its customers.
        Provider = "PROVIDER",
        /// Consumes services (a tenant).
        Customer = "CUSTOMER",
    }
}

text_enum! {
    /// Whether an organization can be acted in.
    pub enum OrganizationStatus {
        /// It can.
        Active = "ACTIVE",
        /// It cannot; what it has stays.
        Disabled = "DISABLED",
    }
}

impl OrganizationKind {
    /// Whether an organization of this kind may stand directly below one of `parent`. Customers stand below providers only, since
    /// a provider is who answers for them.
    pub fn may_stand_below(self, parent: Self) -> bool {
        self > parent && (self != Self::Customer || parent == Self::Provider)
    }
}

/// Where an organization stands in the tree: the ids from the root down to itself, each ended by a dot. One
/// organization is above another exactly when its path begins the other's, which an index answers with one range.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrganizationPath(String);

impl OrganizationPath {
    /// The path of the tree's root.
    pub fn root(operator: Id<id::Organization>) -> Self {
        Self(format!("{operator}."))
    }

    /// The path of an organization directly below this one.
    pub fn child(&self, id: Id<id::Organization>) -> Self {
        Self(format!("{}{id}.", self.0))
    }

    /// The path as it was stored. Only `store` calls this.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Whether the other organization is this one or below it.
    pub fn reaches(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The organization at the path's end. `None` for what no database of ours holds.
    pub fn id(&self) -> Option<Id<id::Organization>> {
        self.0.strip_suffix('.')?.rsplit('.').next()?.parse().ok()
    }

    /// The text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The end of the range of texts that begin with this path. `/` follows the dot in ASCII, and in every collation
    /// that orders by bytes.
    pub fn range_end(&self) -> String {
        let mut end = self.0.clone();
        end.pop();
        end.push('/');
        end
    }
}

impl fmt::Display for OrganizationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses a child of the wrong kind, saying which kinds would do.
pub fn check_kind(child: OrganizationKind, parent: OrganizationKind) -> Result<()> {
    if child.may_stand_below(parent) {
        return Ok(());
    }
    let possible: Vec<_> =
        OrganizationKind::ALL.iter().filter(|kind| kind.may_stand_below(parent)).map(|kind| kind.as_str()).collect();
    Err(Error::invalid(
        "/kind",
        match possible.as_slice() {
            [] => format!("no organization can stand below one of the kind {parent}; choose another parentId"),
            kinds => format!("{child} cannot stand below {parent}; below it can stand: {}", kinds.join(", ")),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use OrganizationKind::*;

    #[test]
    fn levels_may_be_absent_but_not_turned_round() {
        assert!(
            Provider.may_stand_below(Operator) && Provider.may_stand_below(Distributor) && Provider.may_stand_below(Reseller)
        );
        assert!(!Distributor.may_stand_below(Provider) && !Provider.may_stand_below(Provider));
        assert!(Customer.may_stand_below(Provider) && !Customer.may_stand_below(Operator));
        assert!(OrganizationKind::ALL.iter().all(|&kind| !Operator.may_stand_below(kind)));
    }

    #[test]
    fn a_path_reaches_itself_and_what_is_below() {
        let id = |n| Id::<id::Organization>::from_uuid(uuid::Uuid::from_u128(n));
        let root = OrganizationPath::root(id(1));
        let (left, right) = (root.child(id(2)), root.child(id(3)));
        let leaf = left.child(id(4));
        assert!(root.reaches(&root) && root.reaches(&leaf) && left.reaches(&leaf));
        assert!(!left.reaches(&right) && !left.reaches(&root) && !leaf.reaches(&left));
        for (above, below) in [(&root, &leaf), (&left, &leaf), (&left, &left)] {
            assert!(above.as_str() <= below.as_str() && below.as_str() < above.range_end().as_str());
        }
        assert!(!(right.as_str() >= left.as_str() && right.as_str() < left.range_end().as_str()));
    }
}
