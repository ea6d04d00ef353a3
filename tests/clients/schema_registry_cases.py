"""confluent-kafka for Python: Confluent's own client of a schema registry, and its serializers for Avro, JSON Schema and
Protobuf, against /schema-registry."""

import json
import struct

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, ServerConfig
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import paho.mqtt.client as paho

from clients.paho_cases import Client
from harness.cases import case, contains, equal, eventually

TS = 1_700_000_000_000
AVRO = {
    "type": "record",
    "name": "Pump",
    "namespace": "acme",
    "doc": "What a pump says.",
    "fields": [
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "seq", "type": "long"},
        {"name": "flow", "type": "double", "unit": "m3/h"},
    ],
}
JSON = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Pump",
    "type": "object",
    "properties": {"ts": {"type": "integer"}, "seq": {"type": "integer"}, "flow": {"type": "number"}},
    "required": ["ts", "flow"],
    "additionalProperties": False,
}


def client(server, api=None):
    """Confluent's client with HTTP Basic: any user, the API key as the password."""
    key = (api or server.api).key
    url = f"http://{server.api.address}/schema-registry"
    return SchemaRegistryClient({"url": url, "basic.auth.user.info": f"key:{key}"})


def refused(call, status, code):
    try:
        found = call()
    except SchemaRegistryError as error:
        equal((error.http_status_code, error.error_code), (status, code), str(error))
        return str(error)
    raise AssertionError(f"not refused: {found}")


def with_field(schema, **field):
    return {**schema, "fields": [*schema["fields"], field]}


@case("a subject from registration to permanent deletion")
def _(world):
    server = world.line()
    api = server.api.tenant("registry-subject")
    registry = client(server, api)
    first = Schema(json.dumps(AVRO), "AVRO")
    schema_id = registry.register_schema("pump/a:b c-value", first)
    equal(registry.register_schema("pump/a:b c-value", Schema(json.dumps(AVRO, indent=4), "AVRO")), schema_id, "the same")
    equal(registry.get_subjects(), ["pump/a:b c-value"], "subjects")
    registered = registry.lookup_schema("pump/a:b c-value", first)
    equal((registered.schema_id, registered.version, registered.subject), (schema_id, 1, "pump/a:b c-value"), "lookup")
    equal(json.loads(registry.get_schema(schema_id).schema_str), AVRO, "by id")
    full = client(server, api).register_schema_full_response("pump/a:b c-value", first)
    equal((full.schema_id, full.version), (schema_id, 1), "the full answer")
    by_guid = registry.get_schema_by_guid(full.guid)
    equal((json.loads(by_guid.schema_str), by_guid.schema_type), (AVRO, "AVRO"), "by GUID")
    second = Schema(json.dumps(with_field(AVRO, name="state", type=["null", "string"], default=None)), "AVRO")
    equal(registry.test_compatibility("pump/a:b c-value", second), True, "an optional field")
    equal(registry.register_schema("pump/a:b c-value", second) != schema_id, True, "another id")
    equal(registry.get_versions("pump/a:b c-value"), [1, 2], "versions")
    latest = registry.get_latest_version("pump/a:b c-value")
    equal((latest.version, latest.schema.schema_type), (2, "AVRO"), "latest")
    equal(registry.get_version("pump/a:b c-value", 1).schema_id, schema_id, "a version")
    equal([version.version for version in registry.get_schema_versions(schema_id)], [1], "places of the id")
    equal(registry.get_subjects_by_schema_id(schema_id), ["pump/a:b c-value"], "subjects of the id")
    equal(registry.delete_version("pump/a:b c-value", 1), 1, "one version")
    refused(lambda: client(server).get_version("pump/a:b c-value", 1), 404, 40401)
    equal(registry.delete_subject("pump/a:b c-value"), [2], "the subject")
    equal(registry.get_subjects(), [], "no subject")
    equal(registry.get_subjects(deleted=True), ["pump/a:b c-value"], "but a deleted one")
    equal(registry.register_schema("again", first), schema_id, "an id outlives a soft deletion")
    refused(lambda: registry.delete_subject("again", permanent=True), 404, 40405)
    equal(registry.delete_subject("again"), [1], "softly")
    equal(registry.delete_subject("again", permanent=True), [1], "for good")
    equal(sorted(registry.get_schema_types()), ["AVRO", "JSON", "PROTOBUF"], "types")
    equal(registry.get_contexts(), ["."], "contexts")


@case("levels and modes, of a subject and of all")
def _(world):
    server = world.line()
    registry = client(server, server.api.tenant("registry-levels"))
    equal(registry.get_compatibility(), "BACKWARD", "the default")
    refused(lambda: registry.get_compatibility("pump"), 404, 40408)
    registry.register_schema("pump", Schema(json.dumps(AVRO), "AVRO"))
    more = Schema(json.dumps(with_field(AVRO, name="needed", type="string")), "AVRO")
    equal(registry.test_compatibility("pump", more), False, "a field without default")
    equal(registry.test_compatibility_all_versions("pump", more), False, "after all versions")
    said = refused(lambda: registry.register_schema("pump", more), 409, 409)
    contains(said, "READER_FIELD_MISSING_DEFAULT_VALUE", "needed")
    registry.set_compatibility("pump", "FORWARD")
    equal(registry.get_compatibility("pump"), "FORWARD", "its own")
    equal(registry.test_compatibility("pump", more), True, "forward it fits")
    registry.register_schema("pump", more)
    refused(lambda: registry.set_compatibility("pump", "SIDEWARD"), 422, 42203)
    registry.set_config("pump", ServerConfig(ConfigCompatibilityLevel.FULL_TRANSITIVE, compatibility_group="group"))
    config = registry.get_config("pump")
    found = config.compatibility_level, config.compatibility_group
    equal(found, (ConfigCompatibilityLevel.FULL_TRANSITIVE, "group"), "a configuration")
    registry.delete_config("pump")
    refused(lambda: registry.get_config("pump"), 404, 40408)
    equal(registry.get_global_mode(), "READWRITE", "the mode")
    registry.update_mode("pump", "READONLY")
    equal(registry.get_mode("pump"), "READONLY", "its own mode")
    refused(lambda: registry.delete_subject("pump"), 422, 42205)
    registry.delete_mode("pump")
    equal(registry.delete_subject("pump"), [1, 2], "softly")
    equal(registry.delete_subject("pump", permanent=True), [1, 2], "for good")


def numbers(payload):
    """Magic byte and id in front of a payload."""
    return struct.unpack(">BI", payload[:5])


def context(topic):
    return SerializationContext(topic, MessageField.VALUE)


@case("AvroSerializer registers and writes, AvroDeserializer reads")
def _(world):
    server = world.line()
    registry = client(server, server.api.tenant("registry-avro"))
    topic = "tenant/t/device/d/data"
    payload = AvroSerializer(registry, json.dumps(AVRO))({"ts": TS, "seq": 1, "flow": 1.5}, context(topic))
    equal(numbers(payload), (0, registry.get_latest_version(f"{topic}-value").schema_id), "prefix")
    read = AvroDeserializer(registry)(payload, context(topic))
    equal((read["seq"], read["flow"]), (1, 1.5), "what was written")


@case("JSONSerializer registers and writes, JSONDeserializer reads")
def _(world):
    server = world.line()
    registry = client(server, server.api.tenant("registry-json"))
    message = {"ts": TS, "seq": 1, "flow": 1.5}
    payload = JSONSerializer(json.dumps(JSON), registry)(message, context("pump"))
    equal(numbers(payload), (0, registry.get_latest_version("pump-value").schema_id), "prefix")
    equal(JSONDeserializer(json.dumps(JSON), schema_registry_client=registry)(payload, context("pump")), message, "read")


def messages():
    """Two files, one of which imports the other and a type of Google's: the classes of a pump's message and of a nested one."""
    pool = descriptor_pool.DescriptorPool()
    field = descriptor_pb2.FieldDescriptorProto
    from google.protobuf import timestamp_pb2

    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    unit = descriptor_pb2.FileDescriptorProto(name="acme/unit.proto", package="acme", syntax="proto3")
    unit.message_type.add(name="Motor").field.add(name="temp", number=1, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    pump = descriptor_pb2.FileDescriptorProto(
        name="acme/pump.proto",
        package="acme",
        syntax="proto3",
        dependency=["acme/unit.proto", "google/protobuf/timestamp.proto"],
    )
    pump.message_type.add(name="Other")
    message = pump.message_type.add(name="Pump")
    for number, (name, kind, type_name) in enumerate(
        (
            ("ts", field.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
            ("seq", field.TYPE_INT64, None),
            ("flow", field.TYPE_DOUBLE, None),
            ("motor", field.TYPE_MESSAGE, ".acme.Motor"),
        ),
        1,
    ):
        message.field.add(name=name, number=number, type=kind, type_name=type_name, label=field.LABEL_OPTIONAL)
    for file in (unit, pump):
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("acme.Pump"))


@case("ProtobufSerializer registers a file and what it imports, ProtobufDeserializer reads")
def _(world):
    server = world.line()
    api = server.api.tenant("registry-protobuf")
    registry = client(server, api)
    pump = messages()
    message = pump(seq=1, flow=1.5)
    message.ts.FromMilliseconds(TS)
    message.motor.temp = 60.25
    payload = ProtobufSerializer(pump, registry, {"use.deprecated.format": False})(message, context("pump"))
    latest = registry.get_latest_version("pump-value")
    equal(numbers(payload), (0, latest.schema_id), "prefix")
    equal(payload[5:7], bytes([2, 2]), "the second message of its file")
    references = [(reference.name, reference.subject, reference.version) for reference in latest.schema.references]
    equal(references, [("acme/unit.proto", "acme/unit.proto", 1)], "references")
    equal(registry.get_referenced_by("acme/unit.proto", 1), [latest.schema_id], "referenced by")
    read = ProtobufDeserializer(pump, {"use.deprecated.format": False}, registry)(payload, context("pump"))
    equal(read, message, "what was written")
    again = ProtobufSerializer(pump, client(server, api), {"use.deprecated.format": False})
    equal(again(message, context("pump")), payload, "the same file again is the same schema")
    refused(lambda: registry.delete_subject("acme/unit.proto"), 422, 42206)


@case("a schema with references is found again")
def _(world):
    server = world.line()
    registry = client(server, server.api.tenant("registry-references"))
    unit = {"type": "record", "name": "Motor", "namespace": "acme", "fields": [{"name": "temp", "type": "double"}]}
    registry.register_schema("motor", Schema(json.dumps(unit), "AVRO"))
    pump = with_field(AVRO, name="motor", type="acme.Motor")
    schema = Schema(json.dumps(pump), "AVRO", [SchemaReference("acme.Motor", "motor", 1)])
    schema_id = registry.register_schema("pump", schema)
    equal(registry.lookup_schema("pump", schema).schema_id, schema_id, "by its references")
    inlined = Schema(json.dumps(with_field(AVRO, name="motor", type=unit)), "AVRO")
    equal(registry.lookup_schema("pump", inlined).schema_id, schema_id, "with its references written out")
    missing = Schema(json.dumps(pump), "AVRO", [SchemaReference("acme.Motor", "motor", 9)])
    refused(lambda: registry.register_schema("other", missing), 422, 42201)


@case("another tenant sees none of it")
def _(world):
    server = world.line()
    mine, theirs = (client(server, server.api.tenant(f"registry-wall-{number}")) for number in (1, 2))
    schema_id = mine.register_schema("pump", Schema(json.dumps(AVRO), "AVRO"))
    equal(theirs.get_subjects(), [], "subjects")
    refused(lambda: theirs.get_schema(schema_id), 404, 40403)
    refused(lambda: theirs.get_latest_version("pump"), 404, 40401)


def arrive(world, name, written, expected):
    """What `written(registry, seq)` gives is published by a device over MQTT and posted by another over HTTP; both have the
    readings, and nothing else came of it."""
    server = world.line()
    api = server.api.tenant(name)
    registry = client(server, api)
    for way in ("MQTT", "HTTP"):
        device = api.device("pump")
        payloads = [written(registry, seq) for seq in range(1, 4)]
        if way == "MQTT":
            connection = Client(server, device["device_id"], device["auth_token"], paho.MQTTv5)
            connection.publish(device["topic"], payloads, 1)
            connection.end()
        else:
            for payload in payloads:
                headers = {"content-type": "application/octet-stream"}
                path = f"/v1/ingest/{device['device_id']}"
                equal(api.request("POST", path, payload, headers, device["auth_token"]), (202, {"accepted": 1}), way)
        for metric, values in expected.items():
            readings = [(TS + seq, value, seq) for seq, value in zip((1, 2, 3), values)]
            eventually(lambda: api.raw(device["device_id"], metric), readings, f"{metric} over {way}")
        equal(api.dead_letters(), [], "dead letters")


@case("what AvroSerializer writes arrives as readings, over MQTT and HTTP")
def _(world):
    def written(registry, seq):
        message = {"ts": TS + seq, "seq": seq, "flow": seq / 8}
        return AvroSerializer(registry, json.dumps(AVRO))(message, context("pump"))

    arrive(world, "arrive-avro", written, {"flow": [0.125, 0.25, 0.375]})


@case("what JSONSerializer writes arrives as readings, over MQTT and HTTP")
def _(world):
    def written(registry, seq):
        return JSONSerializer(json.dumps(JSON), registry)({"ts": TS + seq, "seq": seq, "flow": seq / 8}, context("pump"))

    arrive(world, "arrive-json", written, {"flow": [0.125, 0.25, 0.375]})


@case("what ProtobufSerializer writes arrives as readings, over MQTT and HTTP")
def _(world):
    pump = messages()

    def written(registry, seq):
        message = pump(seq=seq, flow=seq / 8)
        message.ts.FromMilliseconds(TS + seq)
        message.motor.temp = 60.25
        return ProtobufSerializer(pump, registry, {"use.deprecated.format": False})(message, context("pump"))

    arrive(world, "arrive-protobuf", written, {"flow": [0.125, 0.25, 0.375], "motor.temp": [60.25, 60.25, 60.25]})
