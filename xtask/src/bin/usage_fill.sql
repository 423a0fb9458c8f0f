INSERT INTO usage_rows (id, report_id, report_row, source, row_key, organization_id, service_id, subscription_id, sku,
    description, datacenter, used_at, period, unit_price, usage_quantity, commit_quantity, billable_quantity,
    product_family, customer_segment, cross_reference_sku, late)
WITH RECURSIVE
    n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3 + ?4),
    there (filled) AS (SELECT MAX(rowid) FROM usage_rows)
SELECT substr(id, 1, length(id) - 7) || printf('%07d', filled + i), report_id, filled + i, source,
    printf('%064x', filled + i), ?1, service_id, ?2, 'SKU-' || (i % 500), description, datacenter, used_at,
    CASE WHEN i <= ?3 THEN period ELSE ?5 END, unit_price, usage_quantity, commit_quantity, billable_quantity,
    product_family, customer_segment, cross_reference_sku, late
FROM usage_rows, n, there WHERE usage_rows.rowid = 1
