-- Lists of what the organizations of a subtree have: sorted by id, the page of a small tenant in a large hub was a walk over
-- everybody else's rows. An organization stays where it is, so its path can stand in the rows themselves.
ALTER TABLE api_tokens ADD COLUMN organization_path TEXT NOT NULL DEFAULT '';
UPDATE api_tokens SET organization_path = (SELECT o.path FROM organizations o WHERE o.id = api_tokens.organization_id);
CREATE INDEX api_tokens_path ON api_tokens (organization_path, id) WHERE revoked_at IS NULL;

ALTER TABLE apps ADD COLUMN organization_path TEXT NOT NULL DEFAULT '';
UPDATE apps SET organization_path = (SELECT o.path FROM organizations o WHERE o.id = apps.organization_id);
CREATE INDEX apps_path ON apps (organization_path, id) WHERE revoked_at IS NULL;

ALTER TABLE acting_sessions ADD COLUMN organization_path TEXT NOT NULL DEFAULT '';
UPDATE acting_sessions SET organization_path = (SELECT o.path FROM organizations o WHERE o.id = acting_sessions.organization_id);
CREATE INDEX acting_sessions_path ON acting_sessions (organization_path, id);

-- Of an onboarding invitation, the issuer's.
ALTER TABLE onboarding_invitations ADD COLUMN organization_path TEXT NOT NULL DEFAULT '';
UPDATE onboarding_invitations SET organization_path = (SELECT o.path FROM organizations o WHERE o.id = onboarding_invitations.issuer_id);
CREATE INDEX onboarding_invitations_path ON onboarding_invitations (organization_path, id);

-- Of a contract, its provider's, or its issuer's while the provider has no organization.
ALTER TABLE contracts ADD COLUMN organization_path TEXT NOT NULL DEFAULT '';
UPDATE contracts SET organization_path = (SELECT o.path FROM organizations o WHERE o.id = contracts.provider_id);
CREATE INDEX contracts_path ON contracts (organization_path, id);
CREATE INDEX contracts_status ON contracts (status, organization_path, id);
CREATE INDEX contracts_service ON contracts (service_id, organization_path, id);

CREATE INDEX member_invitations_status ON member_invitations (organization_id, status, id);
