-- Details and thread of an order are read after the list, a few orders a run; here stands how far that is.
-- "Whole": nothing in the answer had drifted. What was not read whole is read again.
ALTER TABLE orders
    ADD COLUMN details_tried_at  timestamptz,  -- last attempt, whole or not: whoever failed waits behind the others
    ADD COLUMN events_read_at    timestamptz,  -- when the thread was read whole last
    ADD COLUMN events_cursor     bigint,       -- newest event of that reading: only what came after it is asked for
    ADD COLUMN events_unread     integer;      -- unread events the list told of when the thread was read last

-- What the list told of a dialog's newest message when its messages were read last. Moments would not do: Kwork's are
-- in whole seconds and on Kwork's clock.
ALTER TABLE dialogs ADD COLUMN messages_seen text;
