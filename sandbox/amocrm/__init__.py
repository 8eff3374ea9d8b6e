"""A stand-in amoCRM (API v4) with one account: what the vendor documents, and the traps people met.

Modelled: leads, contacts, notes, links, pipelines, custom fields, OAuth2 with single-use refresh tokens, refusals with
`validation-errors`, 204 for empty lists, pages of 250, 50 leads a call of `leads/complex`, duplicate control
(`merged`), 7 requests a second, filters that are ignored unless the account has them, a search that lags.
Not modelled: companies, tasks, unsorted leads, rights of users, webhooks.
"""
