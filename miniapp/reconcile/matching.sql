-- The match of one bill date, both sides by key, for files (`compare`) and for the system (`run`) alike.
--
-- Comes in:
--   ledger_rows   (platform, kind, key, sub, day, amount_fen, is_off, fee_fen_e3)   every ledger row at hand, any date
--   bill_rows     (platform, kind, key, sub, amount_fen, is_off, fee_fen_e3)        the day's bill; kind may be revocation
--   bill_platforms(platform)                                                       those that have a bill today
--   previous_rows (platform, kind, key, sub, reason, fen, is_off, since)           ledger_only and bill_only of the last run
--   variables bill_date (DATE) and carry_days (INTEGER)
-- `platform` is whatever one side's numbers are unique in (the system passes the merchant account). `key` is the order
-- number of a sale and the refund number of a refund; `sub` the order number where a refund number is unique only within it.
-- `is_off`: a sale that is revoked, a refund that failed. A NULL fee_fen_e3 in the ledger is not compared.
--
-- Goes out: compared (one row a key) with its reasons, differences, cleared, side_totals; NULL fen where a side is missing.

-- 1. The keys that are not simply good: all but those with one row on each side, equal amounts, equal status, equal fee;
--    and those known from an earlier run. One grouping of both sides; a good key leaves nothing behind. It stays small.
--    `mark` holds amount and status in one number that is never 0, so two rows whose marks add up to 0 stand on different
--    sides and are equal. A fee on one side only makes a key odd, no more: step 4 says what it is.
CREATE OR REPLACE TEMP TABLE odd_key AS
SELECT platform, CASE WHEN is_refund THEN 'refund' ELSE 'sale' END AS kind, key, sub
FROM (
  SELECT platform, kind = 'refund' AS is_refund, key, sub, amount_fen * 4 + (CASE WHEN is_off THEN 3 ELSE 1 END) AS mark,
         fee_fen_e3 AS fee
  FROM ledger_rows
  WHERE day = getvariable('bill_date') AND platform IN (SELECT platform FROM bill_platforms)
  UNION ALL
  SELECT platform, kind = 'refund', key, sub, -(amount_fen * 4 + (CASE WHEN is_off OR kind = 'revocation' THEN 3 ELSE 1 END)),
         -fee_fen_e3
  FROM bill_rows
)
GROUP BY platform, is_refund, key, sub
HAVING NOT (count(*) = 2 AND sum(mark) = 0 AND coalesce(sum(fee), 0) = 0)
UNION
SELECT platform, kind, key, sub FROM previous_rows;

-- 2. Each side of the odd keys.
CREATE OR REPLACE TEMP TABLE ledger_keys AS
SELECT platform, kind, key, sub, count(*) AS n, sum(amount_fen)::BIGINT AS fen,
       bool_and(is_off) AS all_off, bool_or(is_off) AS any_off, sum(fee_fen_e3)::BIGINT AS fee
FROM ledger_rows SEMI JOIN odd_key USING (platform, kind, key, sub)
WHERE day = getvariable('bill_date') AND platform IN (SELECT platform FROM bill_platforms)
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE bill_keys AS
SELECT platform, sale_or_refund AS kind, key, sub,
       count_if(kind <> 'revocation') AS n,
       (sum(amount_fen) FILTER (kind <> 'revocation'))::BIGINT AS fen,
       bool_or(kind = 'revocation' OR is_off) AS is_off,
       (sum(fee_fen_e3) FILTER (kind <> 'revocation'))::BIGINT AS fee
FROM (SELECT *, CASE kind WHEN 'revocation' THEN 'sale' ELSE kind END AS sale_or_refund FROM bill_rows) AS b
SEMI JOIN odd_key AS o
  ON o.platform = b.platform AND o.kind = b.sale_or_refund AND o.key = b.key AND o.sub = b.sub
GROUP BY ALL;

CREATE OR REPLACE TEMP TABLE odd_keys AS
SELECT coalesce(b.platform, l.platform) AS platform, coalesce(b.kind, l.kind) AS kind,
       coalesce(b.key, l.key) AS key, coalesce(b.sub, l.sub) AS sub,
       l.n AS ledger_n, l.fen AS ledger_fen, l.all_off, l.any_off, l.fee AS ledger_fee,
       b.n AS bill_n, b.fen AS bill_fen, b.is_off AS bill_off, b.fee AS bill_fee
FROM bill_keys AS b FULL JOIN ledger_keys AS l USING (platform, kind, key, sub);

-- 3. What the bill has, today or since an earlier run, and today's ledger lacks: rows of other dates may settle it.
--    An earlier date within the limit settles today's row, any date one that was carried over.
CREATE OR REPLACE TEMP TABLE missing_keys AS
SELECT coalesce(b.platform, p.platform) AS platform, coalesce(b.kind, p.kind) AS kind,
       coalesce(b.key, p.key) AS key, coalesce(b.sub, p.sub) AS sub,
       coalesce(b.bill_fen, p.fen) AS fen, coalesce(b.bill_off, false) OR coalesce(p.is_off, false) AS is_off,
       p.key IS NOT NULL AS any_day
FROM (SELECT * FROM odd_keys WHERE ledger_n IS NULL) AS b
FULL JOIN (SELECT * FROM previous_rows WHERE reason = 'bill_only') AS p USING (platform, kind, key, sub);

CREATE OR REPLACE TEMP TABLE settling_keys AS
SELECT m.platform, m.kind, m.key, m.sub,
       -- Of several rows the one that fits best: equal amount, equal status, nearest day, least amount.
       min_by({'fen': r.amount_fen, 'is_off': r.is_off, 'fee': r.fee_fen_e3},
              {'amount': coalesce(r.amount_fen <> m.fen, false), 'status': r.is_off <> m.is_off,
               'days': abs(getvariable('bill_date') - r.day),
               'fen': r.amount_fen, 'is_off': r.is_off}) AS chosen
FROM missing_keys AS m
JOIN ledger_rows AS r USING (platform, kind, key, sub)
WHERE (r.day <> getvariable('bill_date') OR r.platform NOT IN (SELECT platform FROM bill_platforms))
  AND (m.any_day OR r.day BETWEEN getvariable('bill_date') - getvariable('carry_days') AND getvariable('bill_date'))
GROUP BY m.platform, m.kind, m.key, m.sub;

-- 4. Everything about one odd key in one row.
CREATE OR REPLACE TEMP TABLE odd_compared AS
WITH with_past AS (
  SELECT coalesce(k.platform, p.platform) AS platform, coalesce(k.kind, p.kind) AS kind,
         coalesce(k.key, p.key) AS key, coalesce(k.sub, p.sub) AS sub,
         p.since,
         coalesce(k.ledger_n, 0) AS ledger_n, coalesce(k.bill_n, 0) AS bill_n,
         -- Today's side first, then a row of another date, then what an earlier run wrote down.
         coalesce(k.ledger_fen, s.chosen.fen, CASE p.reason WHEN 'ledger_only' THEN p.fen END) AS ledger_fen,
         coalesce(k.bill_fen, CASE p.reason WHEN 'bill_only' THEN p.fen END) AS bill_fen,
         coalesce(k.all_off, s.chosen.is_off, p.reason = 'ledger_only' AND p.is_off, false) AS all_off,
         coalesce(k.any_off, s.chosen.is_off, p.reason = 'ledger_only' AND p.is_off, false) AS any_off,
         coalesce(k.bill_off, false) OR coalesce(p.reason = 'bill_only' AND p.is_off, false) AS bill_off,
         k.ledger_n IS NOT NULL AS in_todays_ledger,
         coalesce(k.ledger_fee, s.chosen.fee) AS ledger_fee, k.bill_fee
  FROM odd_keys AS k
  FULL JOIN previous_rows AS p USING (platform, kind, key, sub)
  LEFT JOIN settling_keys AS s
    ON s.platform = coalesce(k.platform, p.platform) AND s.kind = coalesce(k.kind, p.kind)
   AND s.key = coalesce(k.key, p.key) AND s.sub = coalesce(k.sub, p.sub)
), facts AS (
  SELECT *, ledger_fen IS NOT NULL AS in_ledger,
         -- A REVOKED row without its payment row is on the bill, but has no amount there.
         bill_fen IS NOT NULL OR bill_off AS on_bill
  FROM with_past
)
SELECT *, ledger_only OR bill_only OR amount_differs OR status_differs OR fee_differs OR duplicate_in_bill
          OR duplicate_in_ledger AS has_reason
FROM (SELECT platform, kind, key, sub, since, ledger_fen, bill_fen, all_off, bill_off,
       bill_fen IS NOT NULL OR in_todays_ledger OR since IS NOT NULL AS counts,
       -- A revoked sale that the bill does not list is as it should be.
       in_ledger AND NOT on_bill AND NOT (kind = 'sale' AND in_todays_ledger AND all_off) AS ledger_only,
       bill_fen IS NOT NULL AND NOT in_ledger AS bill_only,
       coalesce(ledger_fen <> bill_fen, false) AND ledger_n <= 1 AND bill_n <= 1 AS amount_differs,
       in_ledger AND on_bill AND (CASE WHEN bill_off THEN NOT all_off ELSE any_off END) AS status_differs,
       coalesce(ledger_fee <> bill_fee, false) AND ledger_n <= 1 AND bill_n <= 1 AS fee_differs,
       bill_n > 1 AS duplicate_in_bill,
       ledger_n > 1 AS duplicate_in_ledger
FROM facts
WHERE in_ledger OR bill_fen IS NOT NULL);

-- The same for every key, for whoever wants to join it; the good ones are made only when asked for.
CREATE OR REPLACE TEMP VIEW compared AS
SELECT * FROM odd_compared
UNION ALL BY NAME
SELECT platform, kind, key, sub, NULL AS since, amount_fen AS ledger_fen, amount_fen AS bill_fen, is_off AS all_off, is_off AS bill_off,
       true AS counts, false AS ledger_only, false AS bill_only, false AS amount_differs, false AS status_differs,
       false AS fee_differs, false AS duplicate_in_bill, false AS duplicate_in_ledger, false AS has_reason
FROM ledger_rows ANTI JOIN odd_key USING (platform, kind, key, sub)
WHERE day = getvariable('bill_date') AND platform IN (SELECT platform FROM bill_platforms);

-- 5. The exceptions, and what an earlier run had that is settled now.
CREATE OR REPLACE TEMP TABLE differences AS
WITH named AS (
  SELECT *, list_filter([
           CASE WHEN ledger_only THEN 'ledger_only' END,
           CASE WHEN bill_only THEN 'bill_only' END,
           CASE WHEN amount_differs THEN 'amount_differs' END,
           CASE WHEN status_differs THEN 'status_differs' END,
           CASE WHEN fee_differs THEN 'fee_differs' END,
           CASE WHEN duplicate_in_bill THEN 'duplicate_in_bill' END,
           CASE WHEN duplicate_in_ledger THEN 'duplicate_in_ledger' END
         ], lambda reason: reason IS NOT NULL) AS reasons
  FROM odd_compared
  WHERE has_reason
)
SELECT platform, kind, key, sub, reasons, ledger_fen, bill_fen,
       CASE WHEN ledger_only THEN all_off ELSE bill_off END AS is_off,
       -- Only a row that is missing on one side, and nothing else, may still turn up.
       CASE WHEN len(reasons) = 1 AND (ledger_only OR bill_only)
             AND getvariable('bill_date') - coalesce(since, getvariable('bill_date')) <= getvariable('carry_days')
            THEN 'carried_over' ELSE 'open' END AS state,
       coalesce(since, getvariable('bill_date')) AS since
FROM named
ORDER BY platform, kind, key, sub;

CREATE OR REPLACE TEMP TABLE cleared AS
SELECT platform, kind, key, sub, since FROM odd_compared WHERE NOT has_reason AND since IS NOT NULL
ORDER BY platform, kind, key, sub;

-- 6. Totals: rows by kind on both sides; keys without a reason: the good ones and those that came right.
CREATE OR REPLACE TEMP TABLE side_totals AS
WITH ledger_totals AS (
  SELECT platform, kind, count(*) AS n, sum(amount_fen) AS fen
  FROM ledger_rows
  WHERE day = getvariable('bill_date') AND platform IN (SELECT platform FROM bill_platforms)
  GROUP BY ALL
)
SELECT 'ledger' AS side, platform, kind, n, fen::BIGINT AS fen FROM ledger_totals
UNION ALL
SELECT 'bill', platform, kind, count(*), sum(amount_fen)::BIGINT FROM bill_rows WHERE kind <> 'revocation' GROUP BY ALL
UNION ALL
SELECT 'matched', platform, kind, sum(n)::BIGINT, sum(fen)::BIGINT
FROM (
  SELECT platform, kind, n, fen FROM ledger_totals
  UNION ALL
  SELECT platform, kind, -sum(n), -sum(fen) FROM ledger_keys GROUP BY ALL
  UNION ALL
  SELECT platform, kind, count(*), sum(coalesce(bill_fen, ledger_fen)) FROM odd_compared
  WHERE NOT has_reason AND counts AND platform IN (SELECT platform FROM bill_platforms)
  GROUP BY ALL
)
GROUP BY ALL;
