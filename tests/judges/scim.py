"""Checks SCIM messages against the schemas of RFC 7643, as the library scim2-models has them.

Reads one JSON object a line: {"kind": "User" | "Group" | "List" | "Error", "context": a name of scim2_models.Context, "message": {…}}.
Prints what is wrong with each that is not valid, and ends with 1 if there was one; with 2 if there was nothing to check.
"""

import json
import sys

from pydantic import ValidationError
from scim2_models import Context, Error, Group, ListResponse, User

KINDS = {"User": User, "Group": Group, "List": ListResponse[User | Group], "Error": Error}


def main() -> int:
    checked = wrong = 0
    for line in sys.stdin:
        given = json.loads(line)
        try:
            KINDS[given["kind"]].model_validate(given["message"], scim_ctx=Context[given["context"]])
        except ValidationError as error:
            wrong += 1
            print(f"{given['kind']} {given['context']}: {error}")
        checked += 1
    print(f"{checked} messages checked, {wrong} wrong")
    return 2 if checked == 0 else int(wrong > 0)


sys.exit(main())
