-- How often a parked record was refused for good: numbers what is published about each refusal.
ALTER TABLE parked_record ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
