"""
A local stand-in for the Aitronos API, to try DAGs without an account.

Start it with ``python -m airflow_aitronos.sandbox`` and copy the connection that it prints, or use
:class:`airflow_aitronos.sandbox.server.SandboxServer` in a test. Everything is kept in memory and gone when
it stops. ``/docs`` shows the calls in a browser, with scripts from a public CDN. It is a stand-in: the
provider itself imports nothing from here.

How sure each part is, with the words of the contract that it follows: *doc* is on a page of
docs.aitronos.com, *sdk* is only in the vendor's generated client, *guess* follows from the rest, *open* was
looked for and not found. Whatever is *guess* or *open* below was chosen here, and the real service may
answer differently.

What follows the vendor (*doc* unless marked)

- The calls, their parameters and the fields of their replies. Only *sdk*: ``GET /v1/workflows``, ``DELETE
  /v1/workflows/{id}``, ``convert-to-workflow``, and ``workflow_id`` on an assistant.
- The key goes in ``X-API-Key``; the error envelope; ``{"detail": "Not Found"}`` for a path that does not
  exist; ``x-request-id``, ``freddy-processing-ms`` and ``freddy-api-version`` on replies.
- ``AUTHENTICATION_REQUIRED``, ``INVALID_API_KEY``, ``INSUFFICIENT_PERMISSIONS``,
  ``ORGANIZATION_ACCESS_DENIED``, ``VALIDATION_ERROR`` and ``INVALID_FIELD_VALUE`` with their statuses.
- ``POST /v1/workflows`` updates the workflow that has the same ``external_id``.
- Deleting a workflow is soft and unlinks its assistant (*sdk*).

Keys and errors

- open: which scope a call needs. Here the read-only key may do every GET and nothing else.
- guess: no key is ``AUTHENTICATION_REQUIRED``, a wrong one ``INVALID_API_KEY``, for ``/v1/auth/validate``
  too.
- open: what is checked first. Here the key, then the permission, then the request, then whether the ids
  exist.
- guess: a trace id is ``req_`` and 16 hexadecimal digits, and the same as ``x-request-id``.
- open: the unit in ``freddy-processing-ms`` is taken from its name; ``freddy-api-version`` is ``v1``.
- guess: error types other than ``authentication_error`` and ``authorization_error``; what is in
  ``details``.
- guess: the code of an error that a test asks for without naming one, other than for 401, 403, 404, 422 and
  429.
- open: a body that is not readable at all (bad encoding) is a framework 400, bad JSON is
  ``VALIDATION_ERROR``.
- open: a wrong method on a known path is a framework 405, and a slash too many at the end is a 404, no
  redirect.
- 429 and 5xx are sent only when a test asks for them, and there is no rate limit.

Detach and links

- guess: unknown assistant: 404 ``ASSISTANT_NOT_FOUND``; unknown workflow: 404 ``WORKFLOW_NOT_FOUND``.
- open: detaching an assistant without a workflow, so also a second detach: 200 with ``workflow_id`` null.
- open: ``GET /v1/assistants/{id}/workflow`` with nothing linked: 404 ``WORKFLOW_NOT_LINKED``.
- guess: an assistant has one workflow at most.
- open: whether a workflow may serve several assistants. Here it may, so that one can be promoted again after
  every deployment; its ``assistant_id`` names the youngest of them.
- open: converting an assistant that has a workflow: 409 ``ASSISTANT_ALREADY_LINKED``.

Workflows

- guess: ``DELETE /v1/workflows/{id}`` answers 204. The deleted workflow is *open*: here no call by id finds
  it, its ``external_id`` is free again, and the list still shows it with ``is_active`` false unless
  ``active_only`` is true.
- open: ``is_active`` false by PATCH only pauses: calls by id and the upsert still find the workflow, links
  stay.
- open: ``version`` starts at 1; every upsert of an existing workflow and every PATCH that sends a field
  adds 1, even if the values are the same. Linking and unlinking do not.
- open: null for a field is the same as leaving it out; unknown fields are ignored; empty names are a 422.
- open: PATCH with the ``external_id`` of another workflow: 409 ``WORKFLOW_EXTERNAL_ID_CONFLICT``.
- open: the shape of a definition. Here an LLM node is an object in ``nodes`` whose ``type`` is ``llm``;
  several of them without ``primary_node_id``, or a ``primary_node_id`` that names none: 422
  ``INVALID_FIELD_VALUE``.
- open: promote takes name and description from the workflow, convert from the assistant, unless they are
  given.
- guess: ``convert-to-workflow`` answers 201.

Assistants and lists

- open: the fields of an assistant other than ``workflow_id``; ``fields`` is accepted and changes nothing.
- open: an ``organization_id`` other than that of the key: 403 ``ORGANIZATION_ACCESS_DENIED``.
- open: ``search`` looks in id, name and description; ``sort_by`` is ``created_at``, ``updated_at`` or
  ``name``, in ascending order unless ``sort_order`` is ``desc``; ``access_mode`` must be equal.
- guess: the workflow list has the limits of the assistant list: 1 to 100, 50 unless given.
- open: without ``active_only`` all workflows are listed.
"""
