# SPDX-License-Identifier: Apache-2.0
"""grpcio of PyPI without stubs, as grpcurl and other tools work: services and messages come from
the server's reflection."""
import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import \
    ProtoReflectionDescriptorDatabase

from server import Server, check, run

SERVICE = "stagecoach.v1.Stagecoach"


def call(channel, pool, name, fields):
    """The answers to a request whose types are known by reflection alone."""
    method = pool.FindServiceByName(SERVICE).FindMethodByName(name)
    types = [message_factory.GetMessageClass(kind)
             for kind in (method.input_type, method.output_type)]
    ask = channel.unary_stream if method.server_streaming else channel.unary_unary
    answer = ask("/%s/%s" % (SERVICE, name), request_serializer=types[0].SerializeToString,
                 response_deserializer=types[1].FromString)(
                     json_format.ParseDict(fields, types[0]()), timeout=30)
    answers = answer if method.server_streaming else [answer]
    return [json_format.MessageToDict(one) for one in answers]


def test_reflection():
    with Server("demo") as server, grpc.insecure_channel(server.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = database.get_services()
        check(SERVICE in services and "grpc.health.v1.Health" in services, services)
        pool = descriptor_pool.DescriptorPool(database)
        events = call(channel, pool, "Generate", {
            "text": "ROMEO:\n", "maxTokens": 6, "sampling": {"temperature": 0}})
        check(len(events) > 3, events)
        jobs = call(channel, pool, "List", {})
        check(jobs, "no jobs")
        return sorted(services)


def test_grpcurl():
    """What grpcurl asks, in its order: one stream per version, and v1alpha after v1 if that is
    unknown."""
    questions = [{"list_services": "*"}, {"file_containing_symbol": SERVICE},
                 {"file_by_filename": "stagecoach/v1/stagecoach.proto"},
                 {"file_containing_symbol": "no.such.Service"}]
    with Server("demo") as server, grpc.insecure_channel(server.address) as channel:
        for version in ("v1", "v1alpha"):
            ask = channel.stream_stream(
                "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version,
                request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
                response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
            kinds = [answer.WhichOneof("message_response") for answer in
                     ask((reflection_pb2.ServerReflectionRequest(**q) for q in questions),
                         timeout=30)]
            check(kinds == ["list_services_response", "file_descriptor_response",
                            "file_descriptor_response", "error_response"], version, kinds)


if __name__ == "__main__":
    run(globals(), "grpcio", "grpcio-reflection", "protobuf")
