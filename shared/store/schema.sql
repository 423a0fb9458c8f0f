CREATE TABLE access_levels (
organization_id TEXT NOT NULL REFERENCES organizations (id),
person_id TEXT NOT NULL,
service_id TEXT NOT NULL,
level BIGINT CHECK (level BETWEEN 0 AND 3),
version BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
PRIMARY KEY (organization_id, person_id, service_id)
);

CREATE TABLE access_tokens (
hash TEXT PRIMARY KEY,
principal_id TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
expires_at BIGINT NOT NULL
, session_hash TEXT, reach TEXT);

CREATE TABLE account_links (
hash TEXT PRIMARY KEY,
person_id TEXT NOT NULL REFERENCES people (id),
expires_at BIGINT NOT NULL,
created_at BIGINT NOT NULL
, confirms BIGINT NOT NULL DEFAULT 0 CHECK (confirms IN (0, 1)));

CREATE TABLE acting_policies (
organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
policy TEXT NOT NULL CHECK (policy IN ('ALLOW', 'ASK', 'REFUSE')),
version BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE acting_sessions (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
principal_id TEXT NOT NULL,
principal_name TEXT NOT NULL,
principal_organization_id TEXT NOT NULL REFERENCES organizations (id),
reason TEXT NOT NULL,
duration_minutes BIGINT NOT NULL CHECK (duration_minutes BETWEEN 1 AND 480),
status TEXT NOT NULL CHECK (status IN ('PENDING', 'OPEN', 'REFUSED', 'LAPSED', 'ENDED', 'EXPIRED')),
expires_at BIGINT NOT NULL,
created_at BIGINT NOT NULL,
started_at BIGINT,
ended_at BIGINT,
answered_by TEXT,
ended_by TEXT
, organization_path TEXT NOT NULL DEFAULT '');

CREATE TABLE answered_keys (
principal_id TEXT NOT NULL,
key_hash TEXT NOT NULL,
fingerprint TEXT NOT NULL,
status BIGINT NOT NULL,
location TEXT,
expires_at BIGINT NOT NULL,
PRIMARY KEY (principal_id, key_hash)
);

CREATE TABLE api_tokens (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
name TEXT NOT NULL,
hash TEXT NOT NULL UNIQUE,
expires_at BIGINT,
revoked_at BIGINT,
last_used_at BIGINT,
created_at BIGINT NOT NULL
, owner_id TEXT, organization_path TEXT NOT NULL DEFAULT '');

CREATE TABLE approval_policies (
organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
rules TEXT NOT NULL,
lapse_days BIGINT NOT NULL,
version BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE approvals (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
organization_path TEXT NOT NULL,
action TEXT NOT NULL,
subscription_id TEXT REFERENCES subscriptions (id),
service_id TEXT NOT NULL REFERENCES services (id),
quantity TEXT,
request TEXT NOT NULL,
if_version BIGINT,
disable_rollback BIGINT NOT NULL,
status TEXT NOT NULL,
asked_by TEXT NOT NULL,
asked_by_name TEXT NOT NULL,
asked_in TEXT NOT NULL REFERENCES organizations (id),
acting_session_id TEXT REFERENCES acting_sessions (id),
created_at BIGINT NOT NULL,
lapses_at BIGINT NOT NULL,
lapse_job_id TEXT NOT NULL,
decided_by TEXT,
decided_at BIGINT,
reason TEXT,
task_id TEXT REFERENCES tasks (id),
message TEXT
);

CREATE TABLE apps (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
name TEXT NOT NULL,
hash TEXT NOT NULL,
owner_id TEXT,
expires_at BIGINT,
revoked_at BIGINT,
last_used_at BIGINT,
created_at BIGINT NOT NULL
, organization_path TEXT NOT NULL DEFAULT '');

CREATE TABLE audit_chains (
organization_id TEXT PRIMARY KEY,
sequence BIGINT NOT NULL,
hash TEXT NOT NULL,
at BIGINT NOT NULL
);

CREATE TABLE audit_entries (
organization_id TEXT NOT NULL,
sequence BIGINT NOT NULL,
at BIGINT NOT NULL,
resource TEXT NOT NULL,
operation TEXT NOT NULL,
subject_id TEXT,
principal TEXT NOT NULL,
principal_organization_id TEXT,
acting_organization_id TEXT,
acting_session_id TEXT,
request_id TEXT NOT NULL,
trace_id TEXT NOT NULL,
result TEXT NOT NULL CHECK (result IN ('SUCCESS', 'FAILURE')),
details TEXT NOT NULL,
previous_hash TEXT NOT NULL,
hash TEXT NOT NULL,
PRIMARY KEY (organization_id, sequence)
);

CREATE TABLE bindings (
principal_id TEXT NOT NULL,
role TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id), bound_by TEXT REFERENCES organizations (id), from_above BIGINT NOT NULL DEFAULT 0,
PRIMARY KEY (principal_id, role, organization_id)
);

CREATE TABLE branding (
organization_id TEXT PRIMARY KEY REFERENCES organizations (id),
portal_name TEXT,
logo_url TEXT,
icon_url TEXT,
primary_color TEXT,
background_color TEXT,
links TEXT,
version BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE broker_offerings (
service_id TEXT PRIMARY KEY,
broker_id TEXT NOT NULL REFERENCES service_brokers (id),
offering_id TEXT NOT NULL,
UNIQUE (broker_id, offering_id)
);

CREATE TABLE broker_plans (
service_id TEXT NOT NULL REFERENCES broker_offerings (service_id),
plan_code TEXT NOT NULL,
plan_id TEXT NOT NULL,
plan TEXT NOT NULL,
bindable BIGINT NOT NULL,
plan_updateable BIGINT NOT NULL,
max_polling BIGINT,
maintenance_version TEXT,
PRIMARY KEY (service_id, plan_code),
UNIQUE (service_id, plan_id)
);

CREATE TABLE broker_resources (
id TEXT PRIMARY KEY,
instance_id TEXT,
broker_id TEXT NOT NULL,
guid TEXT NOT NULL,
instance_guid TEXT,
generation BIGINT NOT NULL,
offering_id TEXT NOT NULL,
plan_id TEXT NOT NULL,
state TEXT NOT NULL CHECK (state IN ('MAKING', 'READY', 'UPDATING', 'DELETING', 'MITIGATING', 'GONE')),
turn TEXT NOT NULL,
failure TEXT,
polling BIGINT NOT NULL,
operation TEXT,
in_flight BIGINT NOT NULL,
doubt BIGINT NOT NULL,
tries BIGINT NOT NULL,
deadline BIGINT NOT NULL,
settles_at BIGINT NOT NULL,
dashboard_url TEXT,
given TEXT,
updated_at BIGINT NOT NULL
);

CREATE TABLE certificates (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
environment_id TEXT NOT NULL,
product_id TEXT NOT NULL,
thumbprint TEXT NOT NULL,
facts TEXT NOT NULL,
valid_to BIGINT NOT NULL,
warned_days BIGINT,
job_id TEXT NOT NULL,
noted_at BIGINT NOT NULL,
UNIQUE (environment_id, product_id)
);

CREATE TABLE cloud_endpoint_assignments (
cloud_endpoint_id TEXT NOT NULL REFERENCES cloud_endpoints (id),
organization_id TEXT NOT NULL REFERENCES organizations (id),
access_url TEXT,
created_at BIGINT NOT NULL,
PRIMARY KEY (cloud_endpoint_id, organization_id)
);

CREATE TABLE cloud_endpoints (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
organization_path TEXT NOT NULL,
display_name TEXT NOT NULL,
kind TEXT NOT NULL,
url TEXT NOT NULL,
region TEXT NOT NULL,
description TEXT,
data_center_id TEXT REFERENCES data_centers (id) ON DELETE SET NULL,
environment_id TEXT REFERENCES environments (id) ON DELETE SET NULL,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
UNIQUE (organization_id, display_name)
);

CREATE TABLE contract_uses (
contract_id TEXT NOT NULL REFERENCES contracts (id),
period TEXT NOT NULL,
minor_units BIGINT NOT NULL,
PRIMARY KEY (contract_id, period)
);

CREATE TABLE contracts (
id TEXT PRIMARY KEY,
issuer_id TEXT NOT NULL REFERENCES organizations (id),
provider_id TEXT NOT NULL REFERENCES organizations (id),
service_id TEXT NOT NULL REFERENCES services (id),
contract_type TEXT NOT NULL,
status TEXT NOT NULL,
effective_date TEXT NOT NULL,
currency TEXT NOT NULL,
reference TEXT,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL
, provider_email TEXT, term BIGINT, grace_term BIGINT, end_date TEXT, discount TEXT, spf TEXT, min_commits TEXT, prepayment BIGINT, trigger_point BIGINT, threshold BIGINT, license_contact_first_name TEXT, license_contact_last_name TEXT, license_contact_email TEXT, provider_contact_first_name TEXT, provider_contact_last_name TEXT, provider_contact_email TEXT, region TEXT, purchase_order TEXT, selling_price_per_point TEXT, termination_date TEXT, reason TEXT, is_default BIGINT NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)), renews_id TEXT REFERENCES contracts (id), organization_path TEXT NOT NULL DEFAULT '');

CREATE TABLE data_center_edits (
task_id TEXT PRIMARY KEY REFERENCES tasks (id),
seen_version BIGINT,
component_name TEXT,
component_type TEXT,
product_version TEXT,
fqdn TEXT,
username TEXT,
password_ref TEXT,
password_sealed TEXT,
target TEXT,
purpose TEXT,
managed_by TEXT,
tags TEXT,
networks TEXT
, found_version BIGINT);

CREATE TABLE data_centers (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
component_name TEXT NOT NULL,
component_type TEXT NOT NULL,
product_version TEXT,
fqdn TEXT NOT NULL,
username TEXT NOT NULL,
password_ref TEXT,
password_sealed TEXT,
target TEXT NOT NULL,
purpose TEXT,
managed_by TEXT,
tags TEXT NOT NULL,
networks TEXT NOT NULL,
inventory TEXT,
discovered_at BIGINT,
confirmed_at BIGINT,
registered_at BIGINT,
status TEXT NOT NULL CHECK (status IN ('REGISTERING', 'REGISTERED', 'FAILED', 'REMOVING')),
task_id TEXT NOT NULL,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
UNIQUE (organization_id, component_name),
CHECK ((password_ref IS NULL) <> (password_sealed IS NULL))
);

CREATE TABLE entitlements (
subscription_id TEXT PRIMARY KEY REFERENCES subscriptions (id),
organization_id TEXT NOT NULL REFERENCES organizations (id),
service_id TEXT NOT NULL REFERENCES services (id),
quantity TEXT NOT NULL,
created_at BIGINT NOT NULL
, suspended BIGINT NOT NULL DEFAULT 0);

CREATE TABLE environment_data_centers (
environment_id TEXT NOT NULL REFERENCES environments (id),
data_center_id TEXT NOT NULL REFERENCES data_centers (id),
PRIMARY KEY (environment_id, data_center_id)
);

CREATE TABLE environments (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
code TEXT NOT NULL,
name TEXT NOT NULL,
status TEXT NOT NULL CHECK (status IN ('DEPLOYING', 'ACTIVE', 'FAILED', 'REMOVING')),
products TEXT NOT NULL,
secrets TEXT,
task_id TEXT NOT NULL,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
UNIQUE (organization_id, code)
);

CREATE TABLE hash_slots (
ticket BIGINT PRIMARY KEY,
holder TEXT NOT NULL,
expires_at BIGINT NOT NULL
);

CREATE TABLE health_checks (
id BIGINT PRIMARY KEY CHECK (id = 1),
asked_at BIGINT NOT NULL,
checked_at BIGINT NOT NULL,
down TEXT NOT NULL
);

CREATE TABLE hub (
id BIGINT PRIMARY KEY CHECK (id = 1),
key_check TEXT,
highest BIGINT NOT NULL,
anchor_wall BIGINT,
anchor_hub BIGINT,
far_from BIGINT,
far_to BIGINT,
stopping_until BIGINT NOT NULL
);

CREATE TABLE idempotency_keys (
principal_id TEXT NOT NULL,
key_hash TEXT NOT NULL,
fingerprint TEXT NOT NULL,
status BIGINT NOT NULL,
answer TEXT NOT NULL,
expires_at BIGINT NOT NULL, location TEXT, kept BIGINT NOT NULL DEFAULT 0,
PRIMARY KEY (principal_id, key_hash)
);

CREATE TABLE identity_providers (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
name TEXT NOT NULL,
issuer TEXT NOT NULL,
client_id TEXT NOT NULL,
client_secret TEXT,
scopes TEXT NOT NULL,
email_domains TEXT NOT NULL,
metadata TEXT,
metadata_expires_at BIGINT NOT NULL,
keys TEXT,
keys_fetched_at BIGINT NOT NULL,
keys_expire_at BIGINT NOT NULL,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL
, awaits_customer BIGINT NOT NULL DEFAULT 0, assume_email_verified BIGINT NOT NULL DEFAULT 0 CHECK (assume_email_verified IN (0, 1)), failures BIGINT NOT NULL DEFAULT 0, paused_until BIGINT NOT NULL DEFAULT 0);

CREATE TABLE interop_tables (
id BIGINT PRIMARY KEY CHECK (id = 1),
content TEXT NOT NULL,
version BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE invoice_lines (
invoice_id TEXT NOT NULL REFERENCES invoices (id),
line BIGINT NOT NULL,
usage_period TEXT NOT NULL,
subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
sku TEXT NOT NULL,
datacenter TEXT NOT NULL,
unit_price TEXT NOT NULL,
service_id TEXT NOT NULL REFERENCES services (id),
service_name TEXT NOT NULL,
description TEXT NOT NULL,
quantity TEXT NOT NULL,
amount BIGINT NOT NULL,
usage_rows BIGINT NOT NULL,
PRIMARY KEY (invoice_id, line),
UNIQUE (invoice_id, usage_period, subscription_id, sku, datacenter, unit_price)
);

CREATE TABLE invoice_numbers (
provider_id TEXT NOT NULL REFERENCES organizations (id),
year BIGINT NOT NULL,
last BIGINT NOT NULL,
PRIMARY KEY (provider_id, year)
);

CREATE TABLE invoice_usage (
usage_id TEXT PRIMARY KEY REFERENCES usage_rows (id),
invoice_id TEXT NOT NULL,
line BIGINT NOT NULL,
FOREIGN KEY (invoice_id, line) REFERENCES invoice_lines (invoice_id, line)
);

CREATE TABLE invoices (
id TEXT PRIMARY KEY,
number TEXT NOT NULL,
status TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
provider_id TEXT NOT NULL REFERENCES organizations (id),
period TEXT NOT NULL,
currency TEXT NOT NULL,
rounding TEXT NOT NULL,
total BIGINT NOT NULL,
issued_at BIGINT NOT NULL,
UNIQUE (provider_id, number)
);

CREATE TABLE job_queues (
queue TEXT PRIMARY KEY,
served BIGINT NOT NULL
);

CREATE TABLE job_turns (
queue TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
turn BIGINT NOT NULL,
PRIMARY KEY (queue, organization_id)
);

CREATE TABLE jobs (
id TEXT PRIMARY KEY,
queue TEXT NOT NULL,
kind TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
payload TEXT NOT NULL,
state TEXT NOT NULL CHECK (state IN ('READY', 'RUNNING', 'PARKED')),
due_at BIGINT NOT NULL,
attempts BIGINT NOT NULL,
fence BIGINT NOT NULL,
last_error TEXT,
trace TEXT,
created_at BIGINT NOT NULL
);

CREATE TABLE machines (
environment_id TEXT NOT NULL REFERENCES environments (id),
host_name TEXT NOT NULL,
product_id TEXT NOT NULL,
node TEXT NOT NULL, certificate TEXT, deployed_by TEXT, replaces TEXT,
PRIMARY KEY (environment_id, host_name)
);

CREATE TABLE mailbox (
id TEXT PRIMARY KEY,
subject_id TEXT NOT NULL UNIQUE,
recipient TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
sealed TEXT NOT NULL,
created_at BIGINT NOT NULL,
expires_at BIGINT NOT NULL
);

CREATE TABLE member_invitations (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
email TEXT NOT NULL,
display_name TEXT,
invited_by TEXT NOT NULL,
grants TEXT NOT NULL,
hash TEXT NOT NULL UNIQUE,
status TEXT NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'REVOKED', 'EXPIRED')),
expires_at BIGINT NOT NULL,
created_at BIGINT NOT NULL,
closed_at BIGINT
, confirming_hash TEXT, person_id TEXT);

CREATE TABLE member_service_roles (
organization_id TEXT NOT NULL REFERENCES organizations (id),
person_id TEXT NOT NULL REFERENCES people (id),
service_role_id TEXT NOT NULL REFERENCES service_roles (id),
PRIMARY KEY (organization_id, person_id, service_role_id)
);

CREATE TABLE oidc_sign_ins (
hash TEXT PRIMARY KEY,
identity_provider_id TEXT NOT NULL REFERENCES identity_providers (id),
sealed TEXT NOT NULL,
expires_at BIGINT NOT NULL
);

CREATE TABLE onboarding_invitations (
id TEXT PRIMARY KEY,
issuer_id TEXT NOT NULL REFERENCES organizations (id),
email TEXT NOT NULL,
contract_id TEXT NOT NULL REFERENCES contracts (id),
status TEXT NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'REVOKED')),
hash TEXT NOT NULL UNIQUE,
expires_at BIGINT NOT NULL,
organization_id TEXT REFERENCES organizations (id),
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL, organization_path TEXT NOT NULL DEFAULT '',
UNIQUE (issuer_id, email),
FOREIGN KEY (issuer_id, email) REFERENCES prospective_providers (issuer_id, email)
);

CREATE TABLE organizations (
id TEXT PRIMARY KEY,
parent_id TEXT REFERENCES organizations (id),
path TEXT NOT NULL UNIQUE,
kind TEXT NOT NULL CHECK (kind IN ('OPERATOR', 'DISTRIBUTOR', 'RESELLER', 'PROVIDER', 'CUSTOMER')),
status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
display_name TEXT NOT NULL,
company_name TEXT NOT NULL,
country TEXT NOT NULL,
state TEXT,
city TEXT,
zip TEXT,
address_line1 TEXT,
domain TEXT,
tag TEXT,
currency TEXT NOT NULL,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL, description TEXT, address_line2 TEXT, alternate_contact_name TEXT, alternate_contact_email TEXT, tenant_type TEXT, provider_status TEXT, provider_type TEXT, main_provider_id TEXT REFERENCES organizations (id), partner_types TEXT, name_key TEXT NOT NULL DEFAULT '', disabled_at BIGINT, disabled_by TEXT, removed_at BIGINT, self_administered BIGINT NOT NULL DEFAULT 0,
CHECK ((parent_id IS NULL) = (kind = 'OPERATOR'))
);

CREATE TABLE package_files (
id TEXT PRIMARY KEY,
repository_id TEXT NOT NULL REFERENCES package_repositories (id),
product_code TEXT NOT NULL,
version TEXT NOT NULL,
path TEXT NOT NULL,
size BIGINT NOT NULL,
sha256 TEXT NOT NULL,
status TEXT NOT NULL,
message TEXT,
checked_at BIGINT,
bytes_read BIGINT NOT NULL DEFAULT 0,
hash_state TEXT,
failures BIGINT NOT NULL DEFAULT 0,
UNIQUE (repository_id, path)
);

CREATE TABLE package_repositories (
id TEXT PRIMARY KEY,
display_name TEXT NOT NULL,
base_url TEXT NOT NULL UNIQUE,
refresh_status TEXT NOT NULL,
refresh_message TEXT,
refreshed_at BIGINT,
verification_status TEXT NOT NULL,
verification_message TEXT,
verified_at BIGINT,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE passwords (
person_id TEXT PRIMARY KEY REFERENCES people (id),
hash TEXT NOT NULL,
changed_at BIGINT NOT NULL
);

CREATE TABLE people (
id TEXT PRIMARY KEY,
email TEXT NOT NULL UNIQUE,
display_name TEXT NOT NULL,
status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
default_organization_id TEXT REFERENCES organizations (id),
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL
, vouched_by TEXT REFERENCES organizations (id), address TEXT, confirmed_at BIGINT, seen_at BIGINT);

CREATE TABLE person_identities (
issuer TEXT NOT NULL,
subject TEXT NOT NULL,
person_id TEXT NOT NULL REFERENCES people (id),
created_at BIGINT NOT NULL,
PRIMARY KEY (issuer, subject)
);

CREATE TABLE plans (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
environment_id TEXT NOT NULL,
task_type TEXT NOT NULL,
status TEXT NOT NULL CHECK (status IN ('PLANNED', 'APPROVED', 'APPLIED')),
seen_version BIGINT NOT NULL,
code TEXT NOT NULL,
name TEXT NOT NULL,
products TEXT NOT NULL,
secrets TEXT,
changes TEXT NOT NULL,
task_id TEXT,
created_at BIGINT NOT NULL,
approved_at BIGINT
, ignore_validation BIGINT NOT NULL DEFAULT 0, disable_backup BIGINT NOT NULL DEFAULT 0);

CREATE TABLE prospective_providers (
issuer_id TEXT NOT NULL REFERENCES organizations (id),
email TEXT NOT NULL,
display_name TEXT NOT NULL,
company_name TEXT NOT NULL,
country TEXT NOT NULL,
currency TEXT NOT NULL,
organization_id TEXT REFERENCES organizations (id),
created_at BIGINT NOT NULL,
PRIMARY KEY (issuer_id, email)
);

CREATE TABLE recoveries (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
reason TEXT NOT NULL,
email TEXT NOT NULL,
display_name TEXT,
started_by TEXT NOT NULL,
started_by_name TEXT NOT NULL,
started_in TEXT NOT NULL REFERENCES organizations (id),
status TEXT NOT NULL CHECK (status IN ('ANNOUNCED', 'INVITED', 'REFUSED', 'WITHDRAWN', 'VOID')),
due_at BIGINT NOT NULL,
created_at BIGINT NOT NULL,
closed_at BIGINT,
closed_by TEXT,
invitation_id TEXT REFERENCES member_invitations (id)
);

CREATE TABLE renewals (
subscription_id TEXT PRIMARY KEY REFERENCES subscriptions (id),
organization_id TEXT NOT NULL REFERENCES organizations (id),
months BIGINT NOT NULL,
anchor_at BIGINT NOT NULL,
months_done BIGINT NOT NULL,
starts_at BIGINT NOT NULL,
ends_at BIGINT NOT NULL,
cancellable_until BIGINT,
cancellation_days BIGINT,
notice_days BIGINT,
renewal_preference TEXT NOT NULL,
renewal_change TEXT,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE service_bindings (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
name TEXT NOT NULL,
status TEXT NOT NULL CHECK (status IN ('BINDING', 'ACTIVE', 'UNBINDING', 'FAILED')),
parameters TEXT,
task_id TEXT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
UNIQUE (subscription_id, name)
);

CREATE TABLE service_brokers (
id TEXT PRIMARY KEY,
display_name TEXT NOT NULL,
base_url TEXT NOT NULL UNIQUE,
username TEXT,
secret TEXT NOT NULL,
left_alone_until BIGINT NOT NULL DEFAULT 0,
imported_at BIGINT,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL
);

CREATE TABLE service_roles (
id TEXT PRIMARY KEY,
service_id TEXT NOT NULL REFERENCES services (id),
name TEXT NOT NULL,
display_name TEXT NOT NULL,
is_default BIGINT NOT NULL CHECK (is_default IN (0, 1)),
provider_default_in_tenant BIGINT NOT NULL CHECK (provider_default_in_tenant IN (0, 1)),
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
UNIQUE (service_id, name)
);

CREATE TABLE services (
id TEXT PRIMARY KEY,
code TEXT NOT NULL UNIQUE,
display_name TEXT NOT NULL,
description TEXT,
product_family TEXT NOT NULL,
created_at BIGINT NOT NULL
, kind TEXT NOT NULL DEFAULT 'SERVICE', status TEXT NOT NULL DEFAULT 'PUBLISHED', offer TEXT NOT NULL DEFAULT '{"plans":[],"regions":[],"versions":[],"serviceRoles":[],"usageMeters":[],"propertiesSchema":null}', version BIGINT NOT NULL DEFAULT 1, updated_at BIGINT NOT NULL DEFAULT 0, driver TEXT NOT NULL DEFAULT 'MANUAL');

CREATE TABLE sessions (
hash TEXT PRIMARY KEY,
refresh_hash TEXT NOT NULL,
person_id TEXT NOT NULL REFERENCES people (id),
expires_at BIGINT NOT NULL,
created_at BIGINT NOT NULL
, identity_provider_id TEXT, reach TEXT, replaced_hash TEXT, replaced_at BIGINT, kept_answer TEXT);

CREATE TABLE sign_in_attempts (
hash TEXT PRIMARY KEY,
failures BIGINT NOT NULL,
until BIGINT NOT NULL,
expires_at BIGINT NOT NULL
);

CREATE TABLE stored_passwords (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
alias TEXT NOT NULL,
reference TEXT NOT NULL UNIQUE,
username TEXT,
description TEXT,
sealed TEXT NOT NULL,
version BIGINT NOT NULL,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
UNIQUE (organization_id, alias)
);

CREATE TABLE subscription_changes (
task_id TEXT PRIMARY KEY REFERENCES tasks (id),
plan_code TEXT,
quantity TEXT NOT NULL,
properties TEXT
, term_months BIGINT, term_ends_at BIGINT, contract_id TEXT REFERENCES contracts (id));

CREATE TABLE subscriptions (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
provider_id TEXT NOT NULL REFERENCES organizations (id),
service_id TEXT NOT NULL REFERENCES services (id),
contract_id TEXT NOT NULL REFERENCES contracts (id),
quantity TEXT NOT NULL,
status TEXT NOT NULL,
task_id TEXT NOT NULL,
created_at BIGINT NOT NULL,
activated_at BIGINT
, plan_code TEXT, region TEXT, service_version TEXT, term_months BIGINT, properties TEXT, version BIGINT NOT NULL DEFAULT 1, status_before TEXT, suspended_at BIGINT, terminated_at BIGINT, reason TEXT, renewed_after BIGINT, charged_until BIGINT, renewal_preference TEXT);

CREATE TABLE task_predecessors (
task_id TEXT NOT NULL REFERENCES tasks (id),
preceding_id TEXT NOT NULL REFERENCES tasks (id),
PRIMARY KEY (task_id, preceding_id)
);

CREATE TABLE task_requests (
task_id TEXT PRIMARY KEY REFERENCES tasks (id),
body TEXT NOT NULL
);

CREATE TABLE task_steps (
task_id TEXT NOT NULL REFERENCES tasks (id),
position BIGINT NOT NULL,
name TEXT NOT NULL,
status TEXT NOT NULL,
attempts BIGINT NOT NULL,
message TEXT,
updated_at BIGINT NOT NULL,
PRIMARY KEY (task_id, position),
UNIQUE (task_id, name)
);

CREATE TABLE tasks (
id TEXT PRIMARY KEY,
task_type TEXT NOT NULL,
status TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
subscription_id TEXT REFERENCES subscriptions (id),
job_id TEXT,
message TEXT,
created_at BIGINT NOT NULL,
updated_at BIGINT NOT NULL,
ended_at BIGINT
, queue TEXT NOT NULL DEFAULT 'provisioning', subject TEXT, definition_version BIGINT NOT NULL DEFAULT 1, attempt BIGINT NOT NULL DEFAULT 1, disable_rollback BIGINT NOT NULL DEFAULT 0, cancel_requested_at BIGINT, asked_by TEXT);

CREATE TABLE usage_reports (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
source TEXT NOT NULL,
periods TEXT NOT NULL,
row_count BIGINT NOT NULL,
accepted BIGINT NOT NULL,
duplicates BIGINT NOT NULL,
late BIGINT NOT NULL,
created_at BIGINT NOT NULL
, first_usage_id TEXT);

CREATE TABLE usage_rows (
id TEXT PRIMARY KEY,
report_id TEXT NOT NULL REFERENCES usage_reports (id),
report_row BIGINT NOT NULL,
source TEXT NOT NULL,
row_key TEXT NOT NULL,
organization_id TEXT NOT NULL REFERENCES organizations (id),
service_id TEXT NOT NULL REFERENCES services (id),
subscription_id TEXT NOT NULL REFERENCES subscriptions (id),
sku TEXT NOT NULL,
description TEXT NOT NULL,
datacenter TEXT NOT NULL,
used_at BIGINT NOT NULL,
period TEXT NOT NULL,
unit_price TEXT NOT NULL,
usage_quantity TEXT NOT NULL,
commit_quantity TEXT NOT NULL,
billable_quantity TEXT NOT NULL,
product_family TEXT NOT NULL,
customer_segment TEXT NOT NULL,
cross_reference_sku TEXT NOT NULL,
late BIGINT NOT NULL CHECK (late IN (0, 1)),
UNIQUE (source, row_key)
);

CREATE TABLE usage_voids (
id TEXT PRIMARY KEY,
organization_id TEXT NOT NULL REFERENCES organizations (id),
reason TEXT NOT NULL,
row_count BIGINT NOT NULL,
created_at BIGINT NOT NULL
);

CREATE TABLE voided_usage (
usage_id TEXT PRIMARY KEY REFERENCES usage_rows (id),
void_id TEXT NOT NULL REFERENCES usage_voids (id),
source TEXT NOT NULL,
row_key TEXT NOT NULL
);

CREATE TABLE vsphere_memos (
task_id TEXT PRIMARY KEY REFERENCES tasks (id),
memo TEXT NOT NULL
);

CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

CREATE INDEX access_tokens_principal ON access_tokens (principal_id);

CREATE INDEX account_links_person ON account_links (person_id);

CREATE UNIQUE INDEX acting_sessions_current ON acting_sessions (principal_id, organization_id) WHERE status IN ('PENDING', 'OPEN');

CREATE INDEX acting_sessions_organization ON acting_sessions (organization_id, id);

CREATE INDEX acting_sessions_path ON acting_sessions (organization_path, id);

CREATE INDEX answered_keys_expiry ON answered_keys (expires_at);

CREATE INDEX api_tokens_organization ON api_tokens (organization_id, id);

CREATE INDEX api_tokens_owner ON api_tokens (owner_id, id);

CREATE INDEX api_tokens_path ON api_tokens (organization_path, id) WHERE revoked_at IS NULL;

CREATE INDEX approvals_organization ON approvals (organization_id, id);

CREATE INDEX approvals_path ON approvals (organization_path, id);

CREATE INDEX approvals_status ON approvals (status, organization_path, id);

CREATE UNIQUE INDEX approvals_subscription ON approvals (subscription_id) WHERE status IN ('PENDING', 'APPROVED');

CREATE INDEX apps_organization ON apps (organization_id, id);

CREATE INDEX apps_owner ON apps (owner_id, id);

CREATE INDEX apps_path ON apps (organization_path, id) WHERE revoked_at IS NULL;

CREATE INDEX audit_entries_acting_session ON audit_entries (organization_id, acting_session_id, sequence) WHERE acting_session_id IS NOT NULL;

CREATE INDEX audit_entries_principal ON audit_entries (organization_id, principal, sequence);

CREATE INDEX audit_entries_resource ON audit_entries (organization_id, resource, sequence, operation);

CREATE INDEX audit_entries_subject ON audit_entries (organization_id, subject_id, sequence);

CREATE INDEX bindings_bound_by ON bindings (bound_by, principal_id, organization_id) WHERE bound_by IS NOT NULL;

CREATE INDEX bindings_organization ON bindings (organization_id, principal_id, role);

CREATE INDEX broker_resources_instance ON broker_resources (instance_id, id);

CREATE INDEX certificates_organization ON certificates (organization_id, valid_to, id);

CREATE INDEX certificates_valid_to ON certificates (valid_to, id);

CREATE INDEX cloud_endpoint_assignments_organization ON cloud_endpoint_assignments (organization_id, cloud_endpoint_id);

CREATE INDEX cloud_endpoints_data_center ON cloud_endpoints (data_center_id);

CREATE INDEX cloud_endpoints_environment ON cloud_endpoints (environment_id);

CREATE INDEX cloud_endpoints_path ON cloud_endpoints (organization_path, id);

CREATE UNIQUE INDEX contracts_default ON contracts (provider_id, service_id) WHERE is_default = 1;

CREATE INDEX contracts_issuer ON contracts (issuer_id, id);

CREATE INDEX contracts_path ON contracts (organization_path, id);

CREATE INDEX contracts_prospective ON contracts (issuer_id, provider_email) WHERE provider_email IS NOT NULL;

CREATE INDEX contracts_provider ON contracts (provider_id, service_id, status);

CREATE INDEX contracts_provider_id ON contracts (provider_id, id);

CREATE UNIQUE INDEX contracts_renews ON contracts (renews_id) WHERE renews_id IS NOT NULL AND status <> 'TERMINATED';

CREATE INDEX contracts_service ON contracts (service_id, organization_path, id);

CREATE INDEX contracts_status ON contracts (status, organization_path, id);

CREATE INDEX data_center_edits_password ON data_center_edits (password_ref) WHERE password_ref IS NOT NULL;

CREATE INDEX data_centers_organization ON data_centers (organization_id, id);

CREATE INDEX data_centers_password ON data_centers (password_ref) WHERE password_ref IS NOT NULL;

CREATE INDEX data_centers_type ON data_centers (component_type, id);

CREATE INDEX entitlements_organization ON entitlements (organization_id, service_id);

CREATE INDEX environment_data_centers_data_center ON environment_data_centers (data_center_id, environment_id);

CREATE INDEX environments_organization ON environments (organization_id, id);

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

CREATE INDEX idempotency_keys_kept ON idempotency_keys (principal_id, kept);

CREATE INDEX identity_providers_organization ON identity_providers (organization_id, id);

CREATE INDEX invoice_usage_line ON invoice_usage (invoice_id, line, usage_id);

CREATE INDEX invoices_organization ON invoices (organization_id, id);

CREATE INDEX invoices_period ON invoices (organization_id, period, id);

CREATE INDEX job_turns_next ON job_turns (queue, turn, organization_id);

CREATE INDEX jobs_next ON jobs (due_at, queue) WHERE state <> 'PARKED';

CREATE INDEX jobs_of_organization ON jobs (queue, organization_id, due_at, id) WHERE state <> 'PARKED';

CREATE INDEX jobs_state ON jobs (state, id);

CREATE INDEX mailbox_expiry ON mailbox (expires_at);

CREATE INDEX mailbox_recipient ON mailbox (recipient, id);

CREATE UNIQUE INDEX member_invitations_confirming ON member_invitations (confirming_hash) WHERE confirming_hash IS NOT NULL;

CREATE INDEX member_invitations_email ON member_invitations (email, id);

CREATE INDEX member_invitations_inviter ON member_invitations (invited_by) WHERE status = 'PENDING';

CREATE INDEX member_invitations_organization ON member_invitations (organization_id, id);

CREATE UNIQUE INDEX member_invitations_pending ON member_invitations (organization_id, email) WHERE status = 'PENDING';

CREATE INDEX member_invitations_status ON member_invitations (organization_id, status, id);

CREATE INDEX member_service_roles_role ON member_service_roles (service_role_id);

CREATE INDEX oidc_sign_ins_expiry ON oidc_sign_ins (expires_at);

CREATE INDEX oidc_sign_ins_provider ON oidc_sign_ins (identity_provider_id);

CREATE INDEX onboarding_invitations_issuer ON onboarding_invitations (issuer_id, id);

CREATE INDEX onboarding_invitations_path ON onboarding_invitations (organization_path, id);

CREATE INDEX organizations_country ON organizations (country, path);

CREATE INDEX organizations_disabled ON organizations (path) WHERE status = 'DISABLED';

CREATE INDEX organizations_here ON organizations (path) WHERE removed_at IS NULL;

CREATE INDEX organizations_kind ON organizations (kind, path);

CREATE INDEX organizations_main_provider ON organizations (main_provider_id) WHERE main_provider_id IS NOT NULL;

CREATE INDEX organizations_name ON organizations (parent_id, name_key, id);

CREATE UNIQUE INDEX organizations_one_operator ON organizations (kind) WHERE kind = 'OPERATOR';

CREATE INDEX organizations_parent ON organizations (parent_id, id);

CREATE INDEX organizations_removed ON organizations (path) WHERE removed_at IS NOT NULL;

CREATE INDEX organizations_tag ON organizations (tag, path) WHERE tag IS NOT NULL;

CREATE INDEX package_files_repository ON package_files (repository_id, id);

CREATE INDEX package_files_status ON package_files (repository_id, status, id);

CREATE INDEX people_address ON people (address, id) WHERE address IS NOT NULL;

CREATE UNIQUE INDEX person_identities_person ON person_identities (person_id, issuer);

CREATE INDEX plans_environment ON plans (environment_id, id);

CREATE INDEX plans_organization ON plans (organization_id, id);

CREATE INDEX plans_task ON plans (task_id);

CREATE UNIQUE INDEX recoveries_invitation ON recoveries (invitation_id) WHERE invitation_id IS NOT NULL;

CREATE INDEX recoveries_organization ON recoveries (organization_id, id);

CREATE UNIQUE INDEX recoveries_waiting ON recoveries (organization_id) WHERE status = 'ANNOUNCED';

CREATE INDEX renewals_ends ON renewals (ends_at, subscription_id);

CREATE INDEX renewals_organization ON renewals (organization_id, subscription_id);

CREATE INDEX service_bindings_organization ON service_bindings (organization_id, id);

CREATE INDEX service_bindings_task ON service_bindings (task_id);

CREATE INDEX service_roles_service ON service_roles (service_id, id);

CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE INDEX sessions_identity_provider ON sessions (identity_provider_id) WHERE identity_provider_id IS NOT NULL;

CREATE INDEX sessions_person ON sessions (person_id);

CREATE INDEX sign_in_attempts_expiry ON sign_in_attempts (expires_at);

CREATE INDEX stored_passwords_organization ON stored_passwords (organization_id, id);

CREATE INDEX subscriptions_contract ON subscriptions (contract_id, id);

CREATE INDEX subscriptions_organization ON subscriptions (organization_id, id);

CREATE INDEX subscriptions_service ON subscriptions (service_id, status, plan_code);

CREATE INDEX task_predecessors_preceding ON task_predecessors (preceding_id);

CREATE INDEX tasks_organization ON tasks (organization_id, id);

CREATE INDEX tasks_status ON tasks (status, id);

CREATE INDEX tasks_subject ON tasks (subject, id);

CREATE INDEX tasks_type ON tasks (task_type, id);

CREATE INDEX tasks_unended ON tasks (subject) WHERE ended_at IS NULL;

CREATE INDEX usage_reports_organization ON usage_reports (organization_id, id);

CREATE INDEX usage_rows_period ON usage_rows (organization_id, period, id);

CREATE INDEX usage_voids_organization ON usage_voids (organization_id, id);

CREATE INDEX voided_usage_key ON voided_usage (source, row_key);

CREATE INDEX voided_usage_void ON voided_usage (void_id, usage_id);
