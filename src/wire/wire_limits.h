/* Bounds of the decoders. They hold for every frame, authenticated or not. */
#pragma once

/* Array elements in one message, nested ones included: bounds the memory a small frame can ask for. */
#define WIRE_ELEMENTS_MAX 1000000u
/* Tagged fields in one structure. The protocol has fewer than five anywhere. */
#define WIRE_TAGS_MAX 64u
/* A frame length above this is never honest: Kafka's own default bound. */
#define WIRE_FRAME_BYTES_MAX (100u * 1024 * 1024)
/* Before authentication a frame carries a handshake or one SASL token. */
#define WIRE_FRAME_BYTES_UNAUTHENTICATED_MAX (64u * 1024)
