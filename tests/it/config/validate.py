"""Validates documents by a JSON Schema. In: {"schema": …, "documents": […]}; out: for each document why it is invalid, or null."""

import json
import sys

from jsonschema import Draft202012Validator

question = json.load(sys.stdin)
Draft202012Validator.check_schema(question["schema"])
validator = Draft202012Validator(question["schema"])
answers = (next(validator.iter_errors(document), None) for document in question["documents"])
json.dump([answer and f"{answer.json_path}: {answer.message}" for answer in answers], sys.stdout)
