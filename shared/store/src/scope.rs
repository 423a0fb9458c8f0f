//! Whose data a statement may touch.

use crate::{Stored, Value, value::numbers};
use domain::{
    OrganizationPath,
    access_level::{AccessLevel, OF_CUSTOMERS},
    task::TaskType,
};

/// The part of the organization tree that a caller acts in: one organization, with all below it or without. Every
/// function that reads or writes tenant data takes one and puts it into its WHERE.
#[derive(Clone, Debug)]
pub struct Scope {
    path: OrganizationPath,
    until: String,
    levels: Option<Levels>,
    tasks: Option<TaskReach>,
}

/// Which tasks a caller reaches, by the permission that each type needs.
#[derive(Clone, Debug, Default)]
pub struct TaskReach {
    /// The types that are reached wherever the scope is.
    pub everywhere: Vec<TaskType>,
    /// The types that are reached at the scope's top alone.
    pub at_top: Vec<TaskType>,
}

/// How the access levels of a customer's own people narrow what they do.
#[derive(Clone, Debug)]
pub struct Levels {
    /// Whose levels hold: a person's id. For a machine that belongs to nobody it is nobody's.
    pub holder: String,
    /// The level that their roles come to, where none is said of them.
    pub permitted: AccessLevel,
    /// The level that the request needs.
    pub needed: AccessLevel,
}

impl Scope {
    /// The scope of whoever acts in the organization at this path. `web` makes it from the caller's identity, a job
    /// from the organization it works for.
    pub fn below(path: OrganizationPath) -> Self {
        let until = path.range_end();
        Self { path, until, levels: None, tasks: None }
    }

    /// The scope of whoever acts in the organization at this path by a role that reaches no further.
    pub fn only(path: OrganizationPath) -> Self {
        // `!` comes before whatever an id begins with, in ASCII and in every collation that orders by bytes.
        let until = format!("{path}!");
        Self { path, until, levels: None, tasks: None }
    }

    /// The same, narrowed to tasks of these types.
    #[must_use]
    pub fn with_tasks(self, tasks: TaskReach) -> Self {
        Self { tasks: Some(tasks), ..self }
    }

    /// The condition, beginning with AND, on tasks `t` of the organizations `o` that the caller reaches their subjects; nothing,
    /// where that is so of all. Values are added to `values`. A task of a later hub is of no type that is known here.
    pub(crate) fn tasks(&self, values: &mut Vec<Value>) -> String {
        let Some(tasks) = self.tasks.as_ref().filter(|tasks| tasks.everywhere.len() < TaskType::ALL.len()) else {
            return String::new();
        };
        let mut of = |types: &[TaskType]| {
            if types.is_empty() {
                return "1 = 0".to_owned();
            }
            let first = values.len() + 1;
            values.extend(types.iter().map(Stored::to_value));
            format!("t.task_type IN ({})", numbers(first, types.len()))
        };
        let (everywhere, at_top) = (of(&tasks.everywhere), of(&tasks.at_top));
        values.push(self.from());
        format!(" AND ({everywhere} OR ({at_top} AND o.path = ?{}))", values.len())
    }

    /// The same, narrowed to what access levels let through.
    #[must_use]
    pub fn up_to(self, levels: Levels) -> Self {
        Self { levels: Some(levels), ..self }
    }

    /// The access level that the request needs; none, where levels hold for nobody.
    pub(crate) fn needed(&self) -> Option<AccessLevel> {
        self.levels.as_ref().map(|levels| levels.needed)
    }

    /// The condition, beginning with AND, on rows that are of a service of a customer: that the caller's access level for it is
    /// `least` at least; nothing, where levels hold for nobody. `organization` and `service` are what the statement calls the two;
    /// values are added to `values`.
    pub(crate) fn level(&self, least: AccessLevel, organization: &str, service: &str, values: &mut Vec<Value>) -> String {
        let Some(levels) = &self.levels else { return String::new() };
        values.push(Value::Text(levels.holder.clone()));
        let person = format!("?{}", values.len());
        // The lower of the two is enough if both are.
        let both = [("''", OF_CUSTOMERS.max(levels.permitted)), (&*person, levels.permitted)].map(|(who, unsaid)| {
            // What is said of the service comes before what is said of all.
            format!(
                " AND COALESCE((SELECT l.level FROM access_levels l WHERE l.organization_id = {organization} AND l.person_id = {who}
                 AND l.service_id IN ('', {service}) ORDER BY l.service_id DESC LIMIT 1), {}) >= {}",
                unsaid as i64, least as i64
            )
        });
        both.concat()
    }

    /// The same on rows that belong to a subscription, by its id: that the caller sees it.
    pub(crate) fn sees(&self, organization: &str, subscription: &str, values: &mut Vec<Value>) -> String {
        let service = format!("(SELECT v.service_id FROM subscriptions v WHERE v.id = {subscription})");
        self.level(AccessLevel::View, organization, &service, values)
    }

    /// The path at the scope's top.
    pub fn path(&self) -> &OrganizationPath {
        &self.path
    }

    /// A statement's own parameters, followed by the two bounds of the scope.
    pub fn after(&self, mut params: Vec<Value>) -> Vec<Value> {
        params.extend([self.from(), self.until()]);
        params
    }

    /// The conditions on the rows of a table that are in the scope, by their `organization_path`, and come after a place in the order
    /// of the tree: a path and an id, or nothing. Their values are added to `values`; `name` is what the statement calls the table.
    pub(crate) fn page(&self, name: &str, after: &[String], values: &mut Vec<Value>) -> String {
        values.extend([self.from(), self.until()]);
        let (from, until) = (values.len() - 1, values.len());
        let [path, id] = after else {
            return format!("{name}.organization_path >= ?{from} AND {name}.organization_path < ?{until}");
        };
        values.extend([Value::Text(path.clone()), Value::Text(id.clone())]);
        // What is joined to something bounds no index, so that it is read from the place on and not from the first row.
        format!(
            "{name}.organization_path || '' >= ?{from} AND {name}.organization_path < ?{until}
             AND ({name}.organization_path, {name}.id) > (?{path}, ?{id})",
            path = values.len() - 1,
            id = values.len()
        )
    }

    /// The lower bound of `path` in the scope: `path >= from`.
    pub fn from(&self) -> Value {
        Value::Text(self.path.as_str().to_owned())
    }

    /// The upper bound of `path` in the scope: `path < until`.
    pub fn until(&self) -> Value {
        Value::Text(self.until.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Id, id};

    #[test]
    fn a_scope_holds_what_is_below_or_does_not() {
        let id = |n| format!("org_0000000000000000000000000{n}").parse::<Id<id::Organization>>().unwrap();
        let place = OrganizationPath::root(id(1)).child(id(2));
        let (child, sibling) = (place.child(id(0)), OrganizationPath::root(id(1)).child(id(3)));
        let holds =
            |scope: &Scope, path: &OrganizationPath| scope.path.as_str() <= path.as_str() && path.as_str() < scope.until.as_str();
        let (below, only) = (Scope::below(place.clone()), Scope::only(place.clone()));
        assert!(holds(&below, &place) && holds(&below, &child) && !holds(&below, &sibling));
        assert!(holds(&only, &place) && !holds(&only, &child) && !holds(&only, &sibling));
    }
}
