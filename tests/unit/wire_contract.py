#!/usr/bin/python3
"""Compares the compiled protos with the recorded contract in tests/data/wire/*.tsv.

usage: wire_contract.py PROTOSET DIRECTORY DOCUMENT

Both ways: what the tables say must be in the descriptors exactly so, and what the descriptors have must be in a table.
DOCUMENT, docs/api.md, has to list each field of additions.tsv with its number.

With XTCP_UPDATE in the environment, what our packages have anew is added to a table: that of the two original packages to
additions.tsv, with its fields to DOCUMENT, that of each other package to its own. What is there is never changed: somebody has built
upon it.
"""
import os
import pathlib
import sys

from google.protobuf import descriptor_pb2 as pb

# The packages whose own tables have the original schema, which never changes.
ORIGINAL = ("xtcp_config.v1", "xtcp_flat_record.v1")

TYPES = {value: name[len("TYPE_"):].lower() for name, value in pb.FieldDescriptorProto.Type.items()}


def field_type(field):
    """int64, or the full name of the message or enum."""
    return field.type_name.lstrip(".") or TYPES[field.type]


def message_rows(message, parent):
    name = f"{parent}.{message.name}"
    maps = {f"{name}.{nested.name}": nested for nested in message.nested_type if nested.options.map_entry}
    yield "message", name, "", "", "", ""
    for field in message.field:
        kind, label = field_type(field), ""
        if kind in maps:
            key, value = maps[kind].field
            kind = f"map<{field_type(key)},{field_type(value)}>"
        elif field.label == pb.FieldDescriptorProto.LABEL_REPEATED:
            label = "repeated"
        elif field.HasField("oneof_index"):
            label = "oneof " + message.oneof_decl[field.oneof_index].name
        yield "field", name, field.name, str(field.number), kind, label
    for enum in message.enum_type:
        yield from enum_rows(enum, name)
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from message_rows(nested, name)


def enum_rows(enum, parent):
    for value in enum.value:
        yield "enum", f"{parent}.{enum.name}", value.name, str(value.number), "", ""


def service_rows(service, parent):
    for method in service.method:
        request = "stream " * method.client_streaming + method.input_type.lstrip(".")
        response = "stream " * method.server_streaming + method.output_type.lstrip(".")
        yield "rpc", f"{parent}.{service.name}", method.name, "", f"{request} -> {response}", ""


def descriptor_rows(path):
    files = pb.FileDescriptorSet.FromString(path.read_bytes())
    for file in files.file:
        if not file.package.startswith(("xtcp_", "grpc.")):
            continue
        if file.syntax != "proto3":
            yield "syntax", file.name, file.syntax, "", "", ""
        for message in file.message_type:
            yield from message_rows(message, file.package)
        for enum in file.enum_type:
            yield from enum_rows(enum, file.package)
        for service in file.service:
            yield from service_rows(service, file.package)


def table_rows(directory, pattern="*.tsv"):
    for path in sorted(directory.glob(pattern)):
        for line in path.read_text().splitlines():
            if not line.startswith("#"):
                cells = line.split("\t")
                yield tuple(cells + [""] * (6 - len(cells)))


def documented_fields(directory):
    """The rows that the document has for the fields of ours."""
    messages = {}
    for kind, parent, name, number, *_ in table_rows(directory, "additions.tsv"):
        if kind == "field":
            messages.setdefault(parent.split(".", 2)[2], []).append(f"`{name}` {number}")
    return [f"| `{message}` | {', '.join(fields)} |" for message, fields in messages.items()]


def put_beside(lines, line, related):
    """Puts |line| behind the last of |lines| of which |related| is true, else at the end."""
    places = [i for i, other in enumerate(lines) if related(other)]
    lines.insert(places[-1] + 1 if places else len(lines), line)


def record(directory, row):
    """Adds the new |row| to the table of its package."""
    package = ".".join(row[1].split(".")[:2])
    table = directory / ("additions.tsv" if package in ORIGINAL else f"{package}.tsv")
    if table.exists():
        lines = table.read_text().splitlines()
    else:
        lines = [f"# Package {package}: an entry never changes once it was released.",
                 "# kind\tparent\tname\tnumber\ttype\tlabel"]
    put_beside(lines, "\t".join(row).rstrip("\t"), lambda other: other.split("\t")[:2] == list(row[:2]))
    table.write_text("\n".join(lines) + "\n")


def update(protoset, directory, document):
    """Adds what is new to the tables and to the document; what gRPC's own protocols have anew is not ours to record."""
    recorded = set(table_rows(directory))
    for row in descriptor_rows(protoset):
        if row not in recorded and row[0] != "syntax" and row[1].startswith("xtcp_"):
            record(directory, row)
    text = document.read_text(encoding="utf-8").splitlines()
    for row in documented_fields(directory):
        message = row.split(" | ")[0] + " | "
        old = [i for i, line in enumerate(text) if line.startswith(message) and line[len(message):].count("` ")]
        if row not in text and len(old) == 1:
            text[old[0]] = row
        elif row not in text:
            put_beside(text, row, lambda other: other.startswith("| `XtcpFlatRecord` | `netns_cookie` 3000"))
    document.write_text("\n".join(text) + "\n", encoding="utf-8")


def main():
    if os.environ.get("XTCP_UPDATE"):
        update(*map(pathlib.Path, sys.argv[1:]))
    compiled = set(descriptor_rows(pathlib.Path(sys.argv[1])))
    recorded = set(table_rows(pathlib.Path(sys.argv[2])))
    if not compiled or not recorded:
        sys.exit("nothing to compare")
    for row in sorted(recorded - compiled):
        print("in the tables, not in the protos:", *row)
    for row in sorted(compiled - recorded):
        print("in the protos, not in the tables:", *row)
    text = pathlib.Path(sys.argv[3]).read_text(encoding="utf-8").splitlines()
    missing = [row for row in documented_fields(pathlib.Path(sys.argv[2])) if row not in text]
    for row in missing:
        print(f"not in {sys.argv[3]}:", row)
    print(f"{len(recorded & compiled)} rows agree")
    sys.exit(compiled != recorded or bool(missing))


if __name__ == "__main__":
    main()
