//! Support for the integration tests: a hub on a directory of its own, people and machines that call it, and the
//! organizations that most tests begin with.
//!
//! Everything runs in this process on the deployed `.wasm`, on simulated time from one seed, so a test that fails once
//! fails again.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// What the tests set the variable `internal_secret` to.
pub const INTERNAL_SECRET: &str = "internal-secret-of-the-tests-0123";
/// What the tests set the variable `data_key` to.
pub const DATA_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// When every simulated test begins: 2026-11-21T12:00:00Z.
pub fn start_of_tests() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400)
}

/// The hub's own manifest.
pub fn manifest() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let wasm = root.join("target/wasm32-wasip2/wasm/onboarding.wasm");
    assert!(wasm.exists(), "build the components first: cargo xtask test wasm");
    root.join("spin.toml")
}

/// A hub with its data.
pub struct World {
    /// The running hub.
    pub hub: host::Hub,
    dir: TempDir,
    seed: u64,
    variables: Vec<(String, String)>,
}

impl World {
    /// A new hub on a database that is up to date and empty.
    pub async fn new() -> Self {
        Self::with_seed(1).await
    }

    /// The same, with randomness that comes from `seed`.
    pub async fn with_seed(seed: u64) -> Self {
        let template = template().await;
        Self::on(seed, &[], |dir| copy(dir, template)).await
    }

    /// A new hub on an empty directory, which makes its database at the first request.
    pub async fn empty() -> Self {
        Self::on(1, &[], |_| ()).await
    }

    /// A new hub with these variables beside the usual ones.
    pub async fn with_variables(variables: &[(&str, &str)]) -> Self {
        let template = template().await;
        Self::on(1, variables, |dir| copy(dir, template)).await
    }

    async fn on(seed: u64, variables: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Self {
        let dir = scratch();
        prepare(dir.path());
        let variables: Vec<_> = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let hub = start(dir.path(), seed, start_of_tests(), &variables).await;
        Self { hub, dir, seed, variables }
    }

    /// A new hub in real time, whose peers are real: it may reach the service broker at this URL.
    pub async fn in_real_time(broker: &str) -> Self {
        let dir = scratch();
        let hub = configured(dir.path()).variable("service_broker", broker).start().await.expect("the hub starts");
        Self { hub, dir, seed: 0, variables: Vec::new() }
    }

    /// A new hub on an empty directory, started as the test says.
    pub async fn with(build: impl FnOnce(host::Builder) -> host::Builder) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let hub = build(builder(dir.path(), 1, start_of_tests())).start().await.expect("the hub starts");
        Self { hub, dir, seed: 1, variables: Vec::new() }
    }

    /// The hub's data.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends this hub as a crash would, if it still runs, and starts another on the same data, at the present instant.
    pub async fn restart(&mut self) {
        let now = self.hub.clock().now();
        self.hub.kill();
        // Another seed: a real process would not draw the same random numbers after a restart either.
        self.seed += 1000;
        self.hub = start(self.dir.path(), self.seed, now, &self.variables).await;
    }

    /// A look into the database from outside.
    pub fn database(&self) -> rusqlite::Connection {
        let file = self.dir.path().join("sqlite_db.db");
        rusqlite::Connection::open(file).expect("the hub's database")
    }

    /// A number out of the database.
    pub fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    /// Everything in the database, table by table and row by row: two equal dumps are two equal states.
    pub fn dump(&self) -> String {
        let database = self.database();
        let names = |sql: &str| -> Vec<String> {
            let mut statement = database.prepare(sql).expect(sql);
            let rows = statement.query_map([], |row| row.get(0)).expect(sql);
            rows.map(|row| row.expect("a name")).collect()
        };
        let mut dump = String::new();
        // The table `hub` is left out: it says when it is, and how often somebody asked for the hub's health.
        for table in names("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'hub' ORDER BY name") {
            let sql = format!("SELECT * FROM {table} ORDER BY 1, 2");
            let mut statement = database.prepare(&sql).expect("a table");
            let width = statement.column_count();
            let mut rows = statement.query([]).expect("rows");
            while let Some(row) = rows.next().expect("a row") {
                // A text as text: as bytes, nobody would find a secret in it.
                let cell = |cell| match row.get_ref(cell).expect("a cell") {
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    other => format!("{other:?}"),
                };
                let cells: Vec<String> = (0..width).map(cell).collect();
                dump += &format!("{table}: {}\n", cells.join(", "));
            }
        }
        dump
    }

    /// Lets everything run that is due, and what falls due by that, at the present instant.
    pub async fn settle(&self) {
        for _ in 0..100 {
            let next = self.hub.tick().await.expect("a tick");
            if next.is_none_or(|wait| wait > 0) {
                return;
            }
        }
        panic!("there is due work after 100 ticks");
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Call<'_> {
        Call::new(self, Method::GET, path)
    }

    /// A POST with a JSON body.
    pub fn post(&self, path: &str, body: Value) -> Call<'_> {
        Call::new(self, Method::POST, path).json(&body)
    }

    /// A PATCH with a JSON body.
    pub fn patch(&self, path: &str, body: Value) -> Call<'_> {
        Call::new(self, Method::PATCH, path).json(&body)
    }

    /// A PUT with a JSON body.
    pub fn put(&self, path: &str, body: Value) -> Call<'_> {
        Call::new(self, Method::PUT, path).json(&body)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> Call<'_> {
        Call::new(self, Method::DELETE, path)
    }

    /// A request of any method.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }

    /// Creates the operator and gives its access token.
    pub async fn bootstrap(&self) -> Actor {
        let answer = self.post("/internal/bootstrap", json!({ "displayName": "Operator" })).bearer(INTERNAL_SECRET).send().await;
        answer.expect(201);
        let organization = answer.text("/organization/id");
        self.sign_in(&answer.text("/apiToken"), &organization).await
    }

    /// Exchanges an API token.
    pub async fn sign_in(&self, api_token: &str, organization: &str) -> Actor {
        let answer = self.post("/v1/access-tokens", json!({ "apiToken": api_token })).send().await;
        answer.expect(201);
        Actor {
            access_token: answer.text("/accessToken"),
            api_token: api_token.to_owned(),
            organization: organization.to_owned(),
        }
    }

    /// Creates an organization below the caller's or below `parent`.
    pub async fn organization(&self, by: &Actor, kind: &str, name: &str, parent: Option<&str>) -> String {
        let mut body = json!({
            "kind": kind, "displayName": name, "companyName": format!("{name} Ltd."), "country": "US", "currency": "USD"
        });
        if let Some(parent) = parent {
            body["parentId"] = json!(parent);
        }
        let answer = self.post("/v1/organizations", body).by(by).send().await;
        answer.expect(201);
        answer.text("/id")
    }

    /// Issues an API token with a role in an organization and exchanges it.
    pub async fn actor(&self, by: &Actor, organization: &str, role: &str) -> Actor {
        let body = json!({ "name": role, "organizationId": organization, "roles": [role] });
        let answer = self.post("/v1/api-tokens", body).by(by).send().await;
        answer.expect(201);
        self.sign_in(&answer.text("/apiToken"), organization).await
    }

    /// Makes a person with these roles, each in an organization, as joining would, and gives the person's id.
    pub fn somebody(&self, email: &str, roles: &[(&str, &str)]) -> String {
        let count = self.count("SELECT COUNT(*) FROM people") as u8;
        let id = domain::Id::<domain::id::Person>::new(domain::Instant::default(), [count; 10]).to_string();
        let database = self.database();
        database
            .execute(
                "INSERT INTO people (id, email, display_name, status, version, created_at, updated_at)
                 VALUES (?1, ?2, 'Somebody', 'ACTIVE', 1, 0, 0)",
                (&id, email),
            )
            .expect("a person");
        for (role, organization) in roles {
            let sql = "INSERT INTO bindings (principal_id, role, organization_id) VALUES (?1, ?2, ?3)";
            database.execute(sql, (&id, role, organization)).expect("a binding");
            if *role == "CUSTOMER_ADMINISTRATOR" {
                let sql = "UPDATE organizations SET self_administered = 1 WHERE id = ?1";
                database.execute(sql, [organization]).expect("a customer");
            }
        }
        id
    }

    /// Has an administrator make the link by which a person sets this password, and sets it with the link in the person's mail.
    pub async fn set_password(&self, by: &Actor, person: &str, password: &str) {
        self.post("/v1/sign-in/password-reset", json!({ "personId": person })).by(by).send().await.expect(201);
        let body = json!({ "accountLink": self.mailed(person), "password": password });
        self.call(Method::PUT, "/v1/account-links").json(&body).send().await.expect(204);
    }

    /// The secret in the mail about something: an invitation or a person.
    #[track_caller]
    pub fn mailed(&self, subject_id: &str) -> String {
        let sql = "SELECT id, sealed FROM mailbox WHERE subject_id = ?1";
        let row = self.database().query_row(sql, [subject_id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        let (id, sealed) = row.expect("a mail about it");
        let opened = web::secret::open(&web::secret::key(DATA_KEY, "mailbox", &[&id]), &sealed).expect("a sealed mail");
        let mail: Value = serde_json::from_slice(&opened).expect("a mail");
        let line = mail["text"].as_str().and_then(|text| text.lines().find_map(|line| line.strip_prefix("    ")));
        line.expect("a secret in the mail").to_owned()
    }

    /// Tries to sign in with a password.
    pub async fn try_password(&self, email: &str, password: &str) -> Answer {
        self.post("/v1/sign-in/password", json!({ "email": email, "password": password })).send().await
    }

    /// Makes somebody a member of an organization, who accepts with the secret in their mail, and signs them in there.
    pub async fn member(&self, by: &Actor, organization: &str, email: &str, roles: &[&str]) -> Person {
        let body = json!({ "organizationId": organization, "roles": roles, "people": [{ "email": email }] });
        let answer = self.post("/v1/members", body).by(by).send().await;
        answer.expect(207);
        assert_eq!(answer.at("/failed"), json!([]), "{}", answer.json());
        let id = match answer.at("/succeeded/added/0/personId") {
            Value::String(id) => id,
            _ => {
                let secret = self.mailed(&answer.text("/succeeded/invited/0/id"));
                let accepted = self.post("/v1/member-invitations/accept", json!({ "secret": secret })).send().await;
                accepted.expect(200).text("/member/personId")
            }
        };
        self.person(&id, organization)
    }

    /// Signs a person in, at home in an organization, for a day of simulated time: as whatever they sign in with would.
    pub fn person(&self, id: &str, organization: &str) -> Person {
        let access_token = format!("hubat_{id}_{organization}");
        let until = self.hub.clock().now() + Duration::from_secs(24 * 3600);
        let until = until.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64;
        self.database()
            .execute(
                "INSERT OR REPLACE INTO access_tokens (hash, principal_id, organization_id, expires_at) VALUES (?1, ?2, ?3, ?4)",
                (web::secret::hash(&access_token), id, organization, until),
            )
            .expect("an access token");
        let actor = Actor { access_token, api_token: String::new(), organization: organization.to_owned() };
        Person { id: id.to_owned(), actor }
    }

    /// Lets somebody act in a customer for eight hours, as an administrator of the customer allows. Gives the acting session.
    pub async fn let_act(&self, by: &Actor, customer: &str) -> String {
        self.let_in(by, customer, by).await
    }

    /// The same for somebody else than who makes the customer's administrator.
    pub async fn let_in(&self, by: &Actor, customer: &str, actor: &Actor) -> String {
        let admin = self.actor(by, customer, "CUSTOMER_ADMINISTRATOR").await;
        let policy = format!("/v1/acting-policies/{customer}");
        self.put(&policy, json!({ "policy": "ALLOW" })).by(&admin).header("if-match", "*").send().await.expect(200);
        let body = json!({ "organizationId": customer, "reason": "a test", "durationMinutes": 480 });
        let answer = self.post("/v1/acting-sessions", body).by(actor).send().await;
        assert_eq!(answer.expect(201).text("/status"), "OPEN");
        answer.text("/id")
    }

    /// Adds a service to the catalog.
    pub async fn service(&self, operator: &Actor, code: &str, driver: &str) -> String {
        let body = json!({ "code": code, "displayName": format!("Service {code}"), "productFamily": "MSP", "driver": driver });
        let answer = self.post("/v1/services", body).by(operator).send().await;
        answer.expect(201);
        answer.text("/id")
    }

    /// Makes a commit contract between the operator and a provider, in force since 1 September 2026.
    pub async fn contract(&self, operator: &Actor, provider: &str, service: &str) -> String {
        let body = json!({
            "providerId": provider, "serviceId": service, "contractType": "PAY_GO", "effectiveDate": "2026-09-01", "currency": "USD", "threshold": { "minorUnits": 100000, "currency": "USD" }
        });
        let answer = self.post("/v1/contracts", body).by(operator).send().await;
        answer.expect(201);
        let id = answer.text("/id");
        let approved = self.post(&format!("/v1/contracts/{id}/approve"), json!({})).by(operator).send().await;
        approved.expect(200);
        assert_eq!(approved.text("/status"), "ACTIVE");
        id
    }

    /// A provider with a customer, a service of each driver and contracts for both: what most tests begin with.
    pub async fn shop(&self) -> Shop {
        let operator = self.bootstrap().await;
        let provider = self.organization(&operator, "PROVIDER", "Contoso Cloud", None).await;
        let admin = self.actor(&operator, &provider, "PROVIDER_ADMINISTRATOR").await;
        let customer = self.organization(&admin, "CUSTOMER", "Fabrikam", None).await;
        let builtin = self.service(&operator, "builtin", "BUILTIN").await;
        let manual = self.service(&operator, "manual", "MANUAL").await;
        self.contract(&operator, &provider, &builtin).await;
        self.contract(&operator, &provider, &manual).await;
        Shop { operator, admin, provider, customer, builtin, manual }
    }
}

impl Drop for World {
    /// Of all statements that any test saw: Spin drops what follows a semicolon, so none may have one.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for call in self.hub.host_calls().iter().filter(|call| call.kind == host::Kind::Sql) {
            assert!(!call.detail.contains(';'), "a statement has a semicolon: {}", call.detail);
        }
    }
}

/// A temporary directory, in memory where the system has a place for that: a test waits for no disk.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a temporary directory")
}

/// Writes the template into a directory, as the hub leaves its database: for its owner alone.
fn copy(dir: &Path, template: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = dir.join("sqlite_db.db");
    std::fs::write(&file, template).expect("a copy of the database");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a copy of one's own");
}

/// The database of a hub that has migrated and done nothing else. It is made once a process: each world begins with a copy.
async fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(template) = TEMPLATE.get() {
        return template;
    }
    // Boxed, for a world begins with a template.
    let world = Box::pin(World::empty()).await;
    world.get("/health/onboarding").send().await.expect(200);
    world.hub.kill();
    let file = world.dir().join("sqlite_db.db");
    let database = rusqlite::Connection::open(&file).expect("the database");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
    drop(database);
    let bytes = std::fs::read(&file).expect("the database");
    TEMPLATE.get_or_init(|| bytes)
}

async fn start(dir: &Path, seed: u64, now: SystemTime, variables: &[(String, String)]) -> host::Hub {
    let builder = variables.iter().fold(configured(dir), |builder, (name, value)| builder.variable(name, value));
    builder.simulated(seed, now).start().await.expect("the hub starts")
}

/// A hub on this directory, not yet started.
pub fn builder(dir: &Path, seed: u64, now: SystemTime) -> host::Builder {
    configured(dir).simulated(seed, now)
}

fn configured(dir: &Path) -> host::Builder {
    host::Hub::builder(manifest())
        .data_dir(dir)
        .variable("internal_secret", INTERNAL_SECRET)
        .variable("data_key", DATA_KEY)
        .variable("package_repository", "https://packages.example")
        .variable("service_broker", "https://broker.example")
        .variable("vcenter_hosts", "https://*.example.com")
        .tick("/internal/tick", "internal_secret")
}

/// Runs a test on simulated time.
pub fn simulated<F: Future>(test: impl FnOnce() -> F) -> F::Output {
    host::sim::run(test())
}

/// Somebody with an access token.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The access token.
    pub access_token: String,
    /// The API token behind it.
    pub api_token: String,
    /// The organization the token belongs to.
    pub organization: String,
}

/// A person who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id.
    pub id: String,
    /// Their access token.
    pub actor: Actor,
}

/// What [`World::shop`] makes.
pub struct Shop {
    /// The operator's administrator.
    pub operator: Actor,
    /// The provider's administrator.
    pub admin: Actor,
    /// The provider.
    pub provider: String,
    /// Its customer.
    pub customer: String,
    /// A service with the builtin driver.
    pub builtin: String,
    /// A service with the manual driver.
    pub manual: String,
}

/// A request before it is sent.
pub struct Call<'w> {
    world: &'w World,
    request: http::request::Builder,
    body: Bytes,
    client: SocketAddr,
}

impl<'w> Call<'w> {
    fn new(world: &'w World, method: Method, path: &str) -> Self {
        let client = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { world, request: Request::builder().method(method).uri(path), body: Bytes::new(), client }
    }

    /// Sends it from a client at this address.
    pub fn from_address(self, address: &str) -> Self {
        let client = SocketAddr::new(address.parse().expect("an address"), 4711);
        Self { client, ..self }
    }

    /// Sends it as this actor.
    pub fn by(self, actor: &Actor) -> Self {
        self.bearer(&actor.access_token)
    }

    /// Sends it with this token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Acts in this organization.
    pub fn acting_in(self, organization: &str) -> Self {
        self.header("hub-organization", organization)
    }

    /// Sends it with this Idempotency-Key.
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends a body of any type.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        self.try_send().await.expect("an answer")
    }

    /// Sends it to a hub that may be killed meanwhile.
    pub async fn try_send(self) -> Result<Answer, host::RequestError> {
        let request = self.request.body(self.body).expect("a request");
        self.world.hub.request_from(self.client, request).await.map(Answer)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer(pub Response<Bytes>);

impl Answer {
    /// Its status.
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// Its body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.0.body()).unwrap_or_default()
    }

    /// The value at this JSON Pointer.
    pub fn at(&self, pointer: &str) -> Value {
        self.json().pointer(pointer).cloned().unwrap_or_default()
    }

    /// The text at this JSON Pointer.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> String {
        match self.at(pointer) {
            Value::String(text) => text,
            other => panic!("{pointer} is {other} in {}", self.json()),
        }
    }

    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.0.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Fails the test when the status is another.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status(), status, "{}", String::from_utf8_lossy(self.0.body()));
        self
    }

    /// Fails the test when this is no problem of that status and code that tells a person something.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> &Self {
        self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 20), "{problem}");
        assert_eq!(problem["requestId"], self.header("hub-request-id"), "{problem}");
        self
    }
}
