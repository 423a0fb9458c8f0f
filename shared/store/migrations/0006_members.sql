-- Members: who belongs to an organization, who was invited, and who has which role in a service.

-- Of a role that holds in bound organizations alone: the organization it was given in, in a row for each that is bound.
ALTER TABLE bindings ADD COLUMN bound_by TEXT REFERENCES organizations (id);
CREATE INDEX bindings_organization ON bindings (organization_id, principal_id, role);
CREATE INDEX bindings_bound_by ON bindings (bound_by, principal_id, organization_id) WHERE bound_by IS NOT NULL;

CREATE TABLE member_invitations (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    -- In lower case, like a person's.
    email           TEXT NOT NULL,
    -- The name whoever invited goes by for the invited; the invited may choose another.
    display_name    TEXT,
    -- A person, an API token or an app: whoever last sent it, whose rights it rests on until it is accepted.
    invited_by      TEXT NOT NULL,
    -- What the member is to be given, as JSON: roles, bound organizations, roles in services.
    grants          TEXT NOT NULL,
    -- SHA-256 of the secret in the invitation.
    hash            TEXT NOT NULL UNIQUE,
    status          TEXT NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'REVOKED', 'EXPIRED')),
    expires_at      BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    -- When it was accepted or taken back.
    closed_at       BIGINT
);
CREATE INDEX member_invitations_organization ON member_invitations (organization_id, id);

-- One invitation at a time.
CREATE UNIQUE INDEX member_invitations_pending ON member_invitations (organization_id, email) WHERE status = 'PENDING';

CREATE TABLE service_roles (
    id                         TEXT PRIMARY KEY,
    service_id                 TEXT NOT NULL REFERENCES services (id),
    name                       TEXT NOT NULL,
    display_name               TEXT NOT NULL,
    -- Whether new members of an organization that has the service get it.
    is_default                 BIGINT NOT NULL CHECK (is_default IN (0, 1)),
    -- Whether whoever acts in a customer for its provider has it there.
    provider_default_in_tenant BIGINT NOT NULL CHECK (provider_default_in_tenant IN (0, 1)),
    version                    BIGINT NOT NULL,
    created_at                 BIGINT NOT NULL,
    updated_at                 BIGINT NOT NULL,
    UNIQUE (service_id, name)
);
CREATE INDEX service_roles_service ON service_roles (service_id, id);

CREATE TABLE member_service_roles (
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    person_id       TEXT NOT NULL REFERENCES people (id),
    service_role_id TEXT NOT NULL REFERENCES service_roles (id),
    PRIMARY KEY (organization_id, person_id, service_role_id)
);
CREATE INDEX member_service_roles_role ON member_service_roles (service_role_id);
