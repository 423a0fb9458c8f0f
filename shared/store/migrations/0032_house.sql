-- What a job has to know is JSON. Ids have 26 characters after their prefix, instants in milliseconds have 13 digits.
UPDATE jobs SET kind = 'contract.advance' WHERE kind = 'contract.activate';
UPDATE jobs SET payload = '{"taskId":"' || payload || '"}' WHERE kind = 'task.advance';
UPDATE jobs SET payload = '{"environmentId":"' || payload || '"}' WHERE kind = 'certificate.note';
UPDATE jobs SET payload = '{"certificateId":"' || payload || '"}' WHERE kind = 'certificate.warn';
UPDATE jobs SET payload = '{"packageRepositoryId":"' || payload || '"}' WHERE kind IN ('packages.refresh', 'packages.verify');
UPDATE jobs SET payload = '{"subscriptionId":"' || substr(payload, 1, 30) || '"}' WHERE kind = 'renewal.begin';
UPDATE jobs SET payload = '{"subscriptionId":"' || substr(payload, 1, 30) || '","termEndsAt":' || substr(payload, 32, 13) || '}' WHERE kind = 'renewal.look';
UPDATE jobs SET payload = '{"subscriptionId":"' || substr(payload, 1, 30) || '","termEndsAt":' || substr(payload, 32, 13) || ',"months":' || substr(payload, 46) || '}' WHERE kind = 'renewal.renewed';
UPDATE jobs SET payload = '{"subscriptionId":"' || substr(payload, 1, 30) || '","termEndsAt":' || substr(payload, 32, 13) || ',"change":' || CASE WHEN substr(payload, 46) = '' THEN 'null' ELSE substr(payload, 46) END || '}' WHERE kind = 'subscription.term-over';
UPDATE jobs SET payload = '{"actingSessionId":"' || payload || '"}' WHERE kind = 'acting-session.close';
UPDATE jobs SET payload = '{"approvalId":"' || payload || '"}' WHERE kind IN ('approval.lapse', 'approval.begin');
UPDATE jobs SET payload = '{"contractId":"' || payload || '"}' WHERE kind = 'contract.advance';
UPDATE jobs SET payload = '{"first":"' || substr(payload, 1, 30) || '","last":"' || substr(payload, 32, 30) || '"}' WHERE kind = 'contract.use';
UPDATE jobs SET payload = '{"usageVoidId":"' || payload || '"}' WHERE kind = 'contract.void';
UPDATE jobs SET payload = '{"from":"' || substr(payload, 1, 30) || '","to":"' || substr(payload, 32, 30) || '"}' WHERE kind = 'subscription.carry-over';
UPDATE jobs SET payload = '{"recoveryId":"' || payload || '"}' WHERE kind = 'recovery.carry-out';
UPDATE jobs SET payload = '{"serviceBindingId":"' || payload || '"}' WHERE kind = 'service_bindings.forget';
