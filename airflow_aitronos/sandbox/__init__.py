"""
A local stand-in for the Aitronos API, to try DAGs without an account.

Start it with ``python -m airflow_aitronos.sandbox`` and copy the connection that it prints, or use
:class:`airflow_aitronos.sandbox.server.SandboxServer` in a test. It needs nothing but Python. Everything is
kept in memory and gone when it stops; ``POST /_sandbox/reset`` goes back to the state it began with. The
provider itself imports nothing from here.

How sure each part is: *doc* is on a page of docs.aitronos.com, *sdk* is only in the vendor's generated
client, *guess* follows from the rest, *open* was looked for and not found. What is *guess* or *open* was
chosen here, and the real service may answer differently.

What follows the vendor (*doc* unless marked)

- The calls, their parameters and the fields of their responses. Only *sdk*: ``GET /v1/workflows``, ``DELETE
  /v1/workflows/{id}``, ``convert-to-workflow``, and ``workflow_id``, ``workflow_version`` and
  ``workflow_based`` of an assistant.
- The key goes in ``X-API-Key``; the error envelope; ``{"detail": "Not Found"}`` for a path that does not
  exist; ``x-request-id``, ``freddy-processing-ms`` and ``freddy-api-version`` on responses.
- ``AUTHENTICATION_REQUIRED``, ``INVALID_API_KEY``, ``INSUFFICIENT_PERMISSIONS``,
  ``ORGANIZATION_ACCESS_DENIED``, ``VALIDATION_ERROR``, ``INVALID_FIELD_VALUE`` and ``RATE_LIMIT_EXCEEDED``
  with their statuses.
- ``POST /v1/workflows`` updates the workflow that has the same ``external_id``.
- ``has_assistant`` says whether the definition has an assistant node, never whether an assistant is linked:
  only ``assistant_id`` does.
- Deleting a workflow is soft and unlinks its assistant (*sdk*).

Keys and errors

- open: which scope a call needs. Here the read-only key may do every GET and nothing else.
- guess: no key is ``AUTHENTICATION_REQUIRED``, a wrong one ``INVALID_API_KEY``, for ``/v1/auth/validate``
  too.
- open: what is checked first. Here the key, then the permission, then the rate limits, then the request,
  then whether the ids exist.
- guess: a trace id is ``req_`` and 16 hexadecimal digits, and the same as ``x-request-id``.
- open: the unit in ``freddy-processing-ms`` is taken from its name; ``freddy-api-version`` is ``v1``.
- guess: error types other than ``authentication_error`` and ``authorization_error``; what is in
  ``details``, which names the first problem of a request only.
- guess: the code of a scripted error without one, other than for 401, 403, 404, 422 and 429.
- open: a body that is not JSON is ``VALIDATION_ERROR``.
- open: a wrong method on a known path is a framework 405, and a slash too many at the end is a 404, no
  redirect.

Rate limits, only when they are asked for

- The headers are ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset``, and ``Retry-After`` on a 429 (in
  seconds: *open*), unless it is switched off. One limit for both keys; without a valid key nothing is
  counted.
- doc: a token bucket. open: it holds as many requests as a minute allows and starts full, and the reset is
  the Unix second when it is full again.
- open: the day of a daily quota. Here it is 24 hours from the start or from a reset, and from each first
  request after such 24 hours.

Detach and links

- guess: unknown assistant: 404 ``ASSISTANT_NOT_FOUND``; unknown workflow: 404 ``WORKFLOW_NOT_FOUND``.
- open: detaching an assistant without a workflow, so also a second detach: 200 with ``workflow_id`` null.
- open: ``GET /v1/assistants/{id}/workflow`` with nothing linked: 404 ``WORKFLOW_NOT_LINKED``.
- guess: an assistant has one workflow at most.
- open: whether a workflow may serve several assistants. Here it may, so that one can be promoted again after
  every deployment; its ``assistant_id`` names the latest of them.
- open: converting an assistant that has a workflow: 409 ``ASSISTANT_ALREADY_LINKED``.

Workflows

- guess: ``DELETE /v1/workflows/{id}`` answers 204. The deleted workflow is *open*: here no call by id finds
  it, its ``external_id`` is free again, and the list still shows it with ``is_active`` false unless
  ``active_only`` is true.
- open: ``is_active`` false by PATCH only pauses: calls by id and the upsert still find the workflow, links
  stay.
- open: ``version`` starts at 1; every upsert of an existing workflow and every PATCH that sends a field
  adds 1, even if the values are the same. Linking and unlinking do not.
- open: null for a field is the same as leaving it out; unknown fields are ignored.
- open: PATCH with the ``external_id`` of another workflow: 409 ``WORKFLOW_EXTERNAL_ID_CONFLICT``.
- open: the shape of a definition. Here a node is an object in ``nodes``; an LLM node has the ``type``
  ``llm``, an assistant node ``assistant``. Several LLM nodes without ``primary_node_id``, or a
  ``primary_node_id`` that names none: 422 ``INVALID_FIELD_VALUE``.
- open: promote takes name and description from the workflow, convert from the assistant, unless they are
  given.
- guess: ``convert-to-workflow`` answers 201.

Assistants and lists

- open: the other fields of an assistant; ``workflow_version`` is the version when the workflow was linked,
  ``workflow_based`` whether one is; ``fields`` is accepted and changes nothing.
- open: an ``organization_id`` other than that of the key: 403 ``ORGANIZATION_ACCESS_DENIED``.
- open: ``search`` looks in id, name and description; ``sort_by`` is ``created_at``, ``updated_at`` or
  ``name``, in ascending order unless ``sort_order`` is ``desc``; ``access_mode`` must be equal.
- guess: the workflow list has the limits of the assistant list: 1 to 100, 50 unless given.
- open: without ``active_only`` all workflows are listed.
"""
