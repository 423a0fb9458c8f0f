"""What schemathesis makes of a cursor.

A cursor is opaque: only one that the hub gave out is taken, and no schema can say which. So none is made up where a request is
to be right; that made-up ones are refused is tested in `tests/it/web_cursors.rs`.
"""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    is_right = case.meta is not None and case.meta.generation.mode.is_positive
    if is_right and case.query:
        case.query.pop("cursor", None)
