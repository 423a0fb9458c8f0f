//! Interoperability: which versions of products work together, and which upgrades are allowed.
//!
//! The table is closed where it speaks and open where it is silent: once it says anything about two products, only the
//! pairs of versions it lists work together; two products of which it says nothing do not meet. An upgrade must be listed.

use crate::{Error, FieldError, JsonSchema, List, Result, Text, text_enum};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A product in a version.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductVersion {
    /// The product's code.
    pub code: Text<1, 60>,
    /// Its version.
    pub version: Text<1, 60>,
}

/// The versions of a product that one version of another works with; they then work with it too.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compatibility {
    /// The one.
    pub product: ProductVersion,
    /// The other product's code.
    pub works_with: Text<1, 60>,
    /// The other's versions; none of them, when there are none.
    pub versions: List<Text<1, 60>, 100>,
}

/// An upgrade that is allowed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upgrade {
    /// The product's code.
    pub code: Text<1, 60>,
    /// The version it has.
    pub from: Text<1, 60>,
    /// The version it is to have.
    pub to: Text<1, 60>,
}

/// The whole table.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InteropTable {
    /// Which versions work together.
    pub compatibilities: List<Compatibility, 2000>,
    /// Which upgrades are allowed, in one step each.
    pub upgrades: List<Upgrade, 2000>,
}

/// What is to be checked.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InteropRequest {
    /// The products that are there, or are to be.
    pub products: List<ProductVersion, 50>,
    /// An upgrade among them.
    pub upgrade: Option<Upgrade>,
}

text_enum! {
    /// What stands against it.
    pub enum ConflictKind {
        /// Two products do not work together in these versions.
        Incompatible = "INCOMPATIBLE",
        /// There is no allowed upgrade, nor a chain of them, from the one version to the other.
        UpgradeNotAllowed = "UPGRADE_NOT_ALLOWED",
    }
}

/// Something that stands against it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
pub struct Conflict {
    /// What it is.
    pub kind: ConflictKind,
    /// The products that it is between; of an upgrade, the product before and after.
    pub products: Vec<ProductVersion>,
    /// The same for people.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InteropResult {
    /// Whether nothing stands against it.
    pub ok: bool,
    /// All that does.
    pub conflicts: Vec<Conflict>,
    /// The versions to go through, both ends included: the shortest way of allowed upgrades on which all products keep
    /// working together, else the shortest there is. Without an upgrade, or a way, there is none.
    pub upgrade_path: Option<Vec<Text<1, 60>>>,
}

/// A product of an environment that is new there, or is to have another version.
pub struct Coming<'a> {
    /// It, as it is to be.
    pub product: ProductVersion,
    /// The version that it has; none where it is new.
    pub from: Option<Text<1, 60>>,
    /// The data center component that it is deployed to.
    pub data_center: &'a str,
    /// What it is to work with: the other products of the environment, and what it is integrated with.
    pub beside: Vec<ProductVersion>,
}

/// The products of an environment that are new there or are to have another version, as [`crate::environment::Description`]s have
/// them before and after.
pub fn coming<'a>(before: &Value, after: &'a Value) -> Vec<Coming<'a>> {
    let (before, after) = (items(before), items(after));
    let at = |product: &Value| versioned(product, "productType");
    let had = |product: &Value| before.iter().find(|old| old["productId"] == product["productId"]).and_then(at);
    let moves: Vec<bool> = after.iter().map(|product| at(product).is_some_and(|to| had(product) != Some(to))).collect();
    let each = after.iter().enumerate().filter(|(index, _)| moves[*index]);
    each.filter_map(|(index, product)| {
        // Of two that come, the one meets the other once.
        let others = after.iter().enumerate().filter(|(other, _)| *other > index || !moves[*other]);
        let integrations = items(&product["integrations"]).iter().filter_map(|one| versioned(one, "integrationId"));
        let from = had(product).filter(|old| Some(&old.code) == at(product).as_ref().map(|to| &to.code));
        Some(Coming {
            product: at(product)?,
            from: from.map(|old| old.version),
            data_center: product["dataCenterId"].as_str().unwrap_or_default(),
            beside: others.filter_map(|(_, other)| at(other)).chain(integrations).collect(),
        })
    })
    .collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What something is by this field, in the version that it says.
fn versioned(value: &Value, code: &str) -> Option<ProductVersion> {
    let text = |field: &str| value[field].as_str()?.parse().ok();
    Some(ProductVersion { code: text(code)?, version: text("version")? })
}

/// How many things that stand against a change are named.
const NAMED: usize = 20;

impl InteropTable {
    /// What stands against these products coming to an environment; nothing where the table is silent, which it is of the upgrades
    /// of a product, too, while it lists none. An upgrade is made in one step, so it must be one that is listed.
    pub fn against(&self, coming: &[Coming<'_>]) -> Option<String> {
        let known = Known::of(self);
        let mut found = Vec::new();
        for one in coming {
            if let Some(from) = one.from.as_ref().filter(|_| self.upgrades.iter().any(|listed| listed.code == one.product.code)) {
                let upgrade = Upgrade { code: one.product.code.clone(), from: from.clone(), to: one.product.version.clone() };
                match known.path(&upgrade, |_| true) {
                    None => found.push(upgrade.refused("")),
                    Some(path) if path.len() > 2 => {
                        found.push(upgrade.refused(&format!(" in one step: upgrade it to {} first", path[1])));
                    }
                    Some(_) => {}
                }
            }
            found.extend(known.meets(&one.product, &one.beside).into_iter().map(|conflict| conflict.detail));
        }
        let more = found.len().saturating_sub(NAMED);
        found.truncate(NAMED);
        if more > 0 {
            found.push(format!("And {more} more."));
        }
        (!found.is_empty()).then(|| found.join(" "))
    }

    /// Refuses a table in which something upgrades to itself.
    pub fn check(&self) -> Result<()> {
        let wrong: Vec<FieldError> = self
            .upgrades
            .iter()
            .enumerate()
            .filter(|(_, upgrade)| upgrade.from == upgrade.to)
            .map(|(index, _)| FieldError { pointer: format!("/upgrades/{index}/to"), detail: "is the version it is from".into() })
            .take(100)
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(wrong)) }
    }

    /// What stands against these products, and this upgrade.
    pub fn judge(&self, request: &InteropRequest) -> Result<InteropResult> {
        let known = Known::of(self);
        let mut products: Vec<ProductVersion> = request.products.to_vec();
        let Some(upgrade) = &request.upgrade else {
            return Ok(InteropResult::of(known.conflicts(&products), None));
        };
        let at = |version: &Text<1, 60>| ProductVersion { code: upgrade.code.clone(), version: version.clone() };
        // The rest of the products, which stays as it is; one of the kind that is upgraded is taken out.
        match products.iter().position(|product| *product == at(&upgrade.from)) {
            Some(place) => drop(products.remove(place)),
            None if products.iter().any(|product| product.code == upgrade.code) => {
                return Err(Error::invalid("/upgrade/from", format!("is not the version that {} has in products", upgrade.code)));
            }
            None => {}
        }
        let fits = |version: &Text<1, 60>| known.meets(&at(version), &products).is_empty();
        let path = known.path(upgrade, fits).or_else(|| known.path(upgrade, |_| true));
        let Some(path) = path else {
            products.push(at(&upgrade.to));
            let mut conflicts = known.conflicts(&products);
            conflicts.insert(
                0,
                Conflict {
                    kind: ConflictKind::UpgradeNotAllowed,
                    products: vec![at(&upgrade.from), at(&upgrade.to)],
                    detail: upgrade.refused(", in steps neither"),
                },
            );
            return Ok(InteropResult::of(conflicts, None));
        };
        let mut conflicts = known.conflicts(&products);
        for version in &path[1..] {
            conflicts.extend(known.meets(&at(version), &products));
        }
        Ok(InteropResult::of(conflicts, Some(path)))
    }
}

impl Upgrade {
    fn refused(&self, how: &str) -> String {
        format!("{} cannot be upgraded from {} to {}{how}.", self.code, self.from, self.to)
    }
}

impl InteropResult {
    fn of(conflicts: Vec<Conflict>, upgrade_path: Option<Vec<Text<1, 60>>>) -> Self {
        Self { ok: conflicts.is_empty(), conflicts, upgrade_path }
    }
}

/// The table, made for looking things up.
struct Known<'a> {
    /// The products of which something is said together, both ways round.
    spoken: BTreeSet<(&'a str, &'a str)>,
    /// The versions that work together, both ways round.
    pairs: BTreeSet<[(&'a str, &'a str); 2]>,
    /// Where one can go from a version.
    steps: BTreeMap<(&'a str, &'a str), Vec<&'a Text<1, 60>>>,
}

impl<'a> Known<'a> {
    fn of(table: &'a InteropTable) -> Self {
        let mut known = Self { spoken: BTreeSet::new(), pairs: BTreeSet::new(), steps: BTreeMap::new() };
        for Compatibility { product, works_with, versions } in table.compatibilities.iter() {
            known.spoken.extend([(&*product.code, &**works_with), (&**works_with, &*product.code)]);
            for version in versions.iter() {
                let (one, other): ((&str, &str), (&str, &str)) = ((&product.code, &product.version), (works_with, version));
                known.pairs.extend([[one, other], [other, one]]);
            }
        }
        for upgrade in table.upgrades.iter() {
            known.steps.entry((&upgrade.code, &upgrade.from)).or_default().push(&upgrade.to);
        }
        known
    }

    fn works(&self, one: &ProductVersion, other: &ProductVersion) -> bool {
        !self.spoken.contains(&(&*one.code, &*other.code))
            || self.pairs.contains(&[(&*one.code, &*one.version), (&*other.code, &*other.version)])
    }

    /// What one product meets among others that it does not work with.
    fn meets(&self, one: &ProductVersion, others: &[ProductVersion]) -> Vec<Conflict> {
        let against = others.iter().filter(|other| !self.works(one, other));
        against
            .map(|other| Conflict {
                kind: ConflictKind::Incompatible,
                products: vec![one.clone(), other.clone()],
                detail: format!("{} {} is not listed as working with {} {}.", one.code, one.version, other.code, other.version),
            })
            .collect()
    }

    fn conflicts(&self, products: &[ProductVersion]) -> Vec<Conflict> {
        let each = products.iter().enumerate();
        each.flat_map(|(index, one)| self.meets(one, &products[index + 1..])).collect()
    }

    /// The shortest way of allowed upgrades over versions that are `open`; of several, the one listed first.
    fn path(&self, upgrade: &'a Upgrade, open: impl Fn(&Text<1, 60>) -> bool) -> Option<Vec<Text<1, 60>>> {
        let mut came_from: BTreeMap<&str, Option<&Text<1, 60>>> = BTreeMap::from([(&*upgrade.from, None)]);
        let mut queue = VecDeque::from([&upgrade.from]);
        while let Some(version) = queue.pop_front() {
            if *version == upgrade.to {
                let before = |version: &&Text<1, 60>| came_from.get(&***version).copied().flatten();
                let mut path: Vec<_> = std::iter::successors(Some(version), before).cloned().collect();
                path.reverse();
                return Some(path);
            }
            for &next in self.steps.get(&(&*upgrade.code, &**version)).into_iter().flatten() {
                if !came_from.contains_key(&**next) && open(next) {
                    came_from.insert(next, Some(version));
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn table(value: Value) -> InteropTable {
        serde_json::from_value(value).unwrap()
    }

    fn judge(table: &InteropTable, request: Value) -> InteropResult {
        table.judge(&serde_json::from_value(request).unwrap()).unwrap()
    }

    fn example() -> InteropTable {
        let works = |code: &str, version: &str, other: &str, versions: Value| json!({ "product": { "code": code, "version": version }, "worksWith": other, "versions": versions });
        let step = |from: &str, to: &str| json!({ "code": "VCD", "from": from, "to": to });
        table(json!({
            "compatibilities": [
                works("VCD", "10.4", "NSXT", json!(["3.2", "4.0"])),
                works("VCD", "10.5", "NSXT", json!(["4.0", "4.1"])),
                works("VCD", "10.4.2", "NSXT", json!(["3.2"])),
                works("NSXT", "4.1", "VCD", json!(["10.6"])),
            ],
            "upgrades": [step("10.3", "10.4"), step("10.4", "10.4.1"), step("10.4", "10.4.2"), step("10.4.1", "10.5"), step("10.4.2", "10.5"), step("10.5", "10.6"), step("10.4", "10.5")],
        }))
    }

    #[test]
    fn every_conflict_is_named() {
        let product = |code: &str, version: &str| json!({ "code": code, "version": version });
        let check = |products: Value| judge(&example(), json!({ "products": products }));
        assert!(check(json!([product("VCD", "10.5"), product("NSXT", "4.1"), product("RMQ", "3.9")])).ok);
        assert!(check(json!([product("NSXT", "4.1"), product("VCD", "10.6")])).ok);
        let wrong = check(json!([product("NSXT", "3.2"), product("VCD", "10.5"), product("VCD", "10.6")]));
        assert_eq!((wrong.ok, wrong.conflicts.len(), wrong.upgrade_path), (false, 2, None));
        assert_eq!(wrong.conflicts[0].products[1].version.to_string(), "10.5");
    }

    #[test]
    fn an_upgrade_goes_where_all_keep_working_together() {
        let upgrade = |products: Value, from: &str, to: &str| {
            judge(&example(), json!({ "products": products, "upgrade": { "code": "VCD", "from": from, "to": to } }))
        };
        let path = |result: &InteropResult| {
            result.upgrade_path.as_ref().map(|path| path.iter().map(|v| v.to_string()).collect::<Vec<_>>())
        };
        let alone = upgrade(json!([]), "10.3", "10.6");
        assert_eq!((alone.ok, path(&alone).unwrap().join(" ")), (true, "10.3 10.4 10.5 10.6".into()));
        let both = json!([{ "code": "VCD", "version": "10.4" }, { "code": "NSXT", "version": "4.0" }]);
        let fine = upgrade(both.clone(), "10.4", "10.5");
        assert_eq!((fine.ok, path(&fine).unwrap().join(" ")), (true, "10.4 10.5".into()));
        // There is a way, and at its end they do not work together any more.
        let wrong = upgrade(both, "10.4", "10.6");
        assert_eq!((wrong.ok, wrong.conflicts.len(), path(&wrong).unwrap().len()), (false, 1, 3));
        let back = upgrade(json!([]), "10.5", "10.4");
        assert_eq!((back.ok, back.conflicts[0].kind, path(&back)), (false, ConflictKind::UpgradeNotAllowed, None));
        let request = json!({ "products": [{ "code": "VCD", "version": "10.5" }], "upgrade": { "code": "VCD", "from": "10.4", "to": "10.5" } });
        let error = example().judge(&serde_json::from_value(request).unwrap()).unwrap_err();
        assert_eq!(error.fields[0].pointer, "/upgrade/from");
    }

    #[test]
    fn nothing_upgrades_to_itself() {
        let error =
            table(json!({ "compatibilities": [], "upgrades": [{ "code": "a", "from": "1", "to": "1" }] })).check().unwrap_err();
        assert_eq!(error.fields[0].pointer, "/upgrades/0/to");
    }

    #[test]
    fn what_comes_is_what_is_new_or_has_another_version() {
        let product = |id: &str, kind: &str, version: &str| json!({ "productId": id, "productType": kind, "version": version, "dataCenterId": "dtc_x" });
        let before = json!([product("vcd", "VCD", "10.4"), product("rmq", "RMQ", "3.9")]);
        let mut after = json!([product("rmq", "RMQ", "3.10"), product("vcd", "VCD", "10.5"), product("usage", "USAGE", "4.6")]);
        after[1]["integrations"] = json!([{ "integrationId": "NSXT", "version": "3.2" }, { "integrationId": "VROPS" }]);
        let codes = |list: &[ProductVersion]| list.iter().map(|one| format!("{} {}", one.code, one.version)).collect::<Vec<_>>();
        let found = coming(&before, &after);
        let said: Vec<_> = found
            .iter()
            .map(|one| (codes(std::slice::from_ref(&one.product)).remove(0), one.from.as_ref().map(|from| from.to_string())))
            .collect();
        let from = |version: &str| Some(version.to_owned());
        assert_eq!(said, [("RMQ 3.10".into(), from("3.9")), ("VCD 10.5".into(), from("10.4")), ("USAGE 4.6".into(), None)]);
        assert_eq!(found[0].data_center, "dtc_x");
        // Each pair is met once.
        assert_eq!(codes(&found[0].beside), ["VCD 10.5", "USAGE 4.6"]);
        assert_eq!(codes(&found[1].beside), ["USAGE 4.6", "NSXT 3.2"]);
        assert_eq!(codes(&found[2].beside), [""; 0]);
        let vcd = json!([product("vcd", "VCD", "10.5"), product("rmq", "RMQ", "3.9")]);
        assert_eq!(codes(&coming(&before, &vcd)[0].beside), ["RMQ 3.9"]);
        assert!(
            coming(&after, &after).is_empty()
                && coming(&after, &json!([])).is_empty()
                && coming(&before, &Value::Null).is_empty()
        );
        // What has another type under its name is another product.
        assert_eq!(coming(&before, &json!([product("vcd", "USAGE", "4.6")]))[0].from, None);
    }

    #[test]
    fn a_table_stands_against_what_comes_only_where_it_speaks() {
        let against = |table: &InteropTable, from: &str, to: &str, nsx: &str| {
            let product = |version: &str| {
                json!([{ "productId": "vcd", "productType": "VCD", "version": version, "dataCenterId": "dtc_x",
                "integrations": [{ "integrationId": "NSXT", "version": nsx }] }])
            };
            let before = if from.is_empty() { json!([]) } else { product(from) };
            table.against(&coming(&before, &product(to))).unwrap_or_default()
        };
        assert_eq!(against(&InteropTable::default(), "10.5", "10.1", "3.2"), "");
        let example = example();
        assert_eq!(against(&example, "10.4", "10.5", "4.0"), "");
        assert_eq!(against(&example, "10.4", "10.5", "3.2"), "VCD 10.5 is not listed as working with NSXT 3.2.");
        assert_eq!(against(&example, "", "10.5", "3.2"), "VCD 10.5 is not listed as working with NSXT 3.2.");
        assert_eq!(against(&example, "", "10.5", "4.1"), "");
        assert_eq!(against(&example, "10.5", "10.4", "4.0"), "VCD cannot be upgraded from 10.5 to 10.4.");
        assert_eq!(
            against(&example, "10.3", "10.6", "3.2"),
            "VCD cannot be upgraded from 10.3 to 10.6 in one step: upgrade it to 10.4 first. VCD 10.6 is not listed as working with NSXT 3.2."
        );
        // It says which versions work together, and of upgrades nothing.
        let silent = InteropTable { upgrades: List::new(Vec::new()).unwrap(), ..example };
        assert_eq!(against(&silent, "10.5", "10.4", "4.0"), "");
        // However much it is, it is said in few words.
        let many: Vec<Value> = (0..30).map(|at| json!({ "integrationId": "NSXT", "version": format!("9.{at}") })).collect();
        let product = json!([{ "productId": "vcd", "productType": "VCD", "version": "10.5", "integrations": many }]);
        let said = silent.against(&coming(&json!([]), &product)).unwrap();
        assert!(said.ends_with("NSXT 9.19. And 10 more."), "{said}");
    }

    fn any_table() -> impl Strategy<Value = InteropTable> {
        let works = prop::collection::vec((0..4u8, 0..4u8, 0..4u8, prop::collection::vec(0..4u8, 0..4)), 0..12);
        let steps = prop::collection::vec((0..6u8, 0..6u8), 0..16);
        (works, steps).prop_map(|(works, steps)| {
            let works: Vec<Value> = works
                .into_iter()
                .map(|(code, version, other, versions)| {
                    let versions: Vec<String> = versions.iter().map(|v| format!("v{v}")).collect();
                    json!({ "product": { "code": format!("p{code}"), "version": format!("v{version}") }, "worksWith": format!("p{other}"), "versions": versions })
                })
                .collect();
            let steps: Vec<Value> =
                steps.into_iter().filter(|(a, b)| a != b).map(|(a, b)| json!({ "code": "p0", "from": format!("v{a}"), "to": format!("v{b}") })).collect();
            table(json!({ "compatibilities": works, "upgrades": steps }))
        })
    }

    proptest! {
        #[test]
        fn working_together_is_mutual(table in any_table(), a in 0..4u8, x in 0..4u8, b in 0..4u8, y in 0..4u8) {
            let product = |code: u8, version: u8| json!({ "code": format!("p{code}"), "version": format!("v{version}") });
            let one = judge(&table, json!({ "products": [product(a, x), product(b, y)] }));
            let other = judge(&table, json!({ "products": [product(b, y), product(a, x)] }));
            prop_assert_eq!(one.ok, other.ok);
        }

        /// Compared with all walks of each length, taken by brute force.
        #[test]
        fn the_path_is_allowed_step_by_step_and_none_is_shorter(table in any_table(), from in 0..6u8, to in 0..6u8) {
            let (from, to) = (format!("v{from}"), format!("v{to}"));
            let found = judge(&table, json!({ "products": [], "upgrade": { "code": "p0", "from": from, "to": to } }));
            let steps: Vec<(String, String)> = table.upgrades.iter().map(|u| (u.from.to_string(), u.to.to_string())).collect();
            let mut reached = BTreeSet::from([from.clone()]);
            let mut length = 0;
            while !reached.contains(&to) && length < 7 {
                reached = steps.iter().filter(|(a, _)| reached.contains(a)).map(|(_, b)| b.clone()).collect();
                length += 1;
            }
            match found.upgrade_path {
                Some(path) => {
                    prop_assert_eq!(path.len(), length + 1);
                    prop_assert_eq!((path[0].to_string(), path[length].to_string()), (from, to));
                    for pair in path.windows(2) {
                        prop_assert!(steps.contains(&(pair[0].to_string(), pair[1].to_string())));
                    }
                }
                None => prop_assert!(!reached.contains(&to)),
            }
        }
    }
}
