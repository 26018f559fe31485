/*
 * A broker and a store that are not there: the server layer links these instead, so its tests see nothing but its own
 * code. What a frame asks for stands in its third byte:
 *
 *   e  answers at once with the frame's bytes      n  ends without a reply
 *   p  parks until fake_release                    c  asks for the connection to be closed
 *   h  the same, and holds up later requests until fake_go_on
 *
 * Frames whose first byte is 'O' may overlap.
 */
#pragma once
#include "broker/config.h"
#include "broker/request.h"

struct fake_broker {
    struct broker_config config; /* nothing but limits of connections */
    struct request *parked[64];
    uint32_t parked_count;
    uint32_t started_count; /* requests that reached the broker */
    uint32_t cancelled_count;
    uint32_t released_count;
};

/* Answers the oldest parked request. */
void fake_release(struct broker *broker);
/* The oldest parked request holds up the later ones no longer. */
void fake_go_on(struct broker *broker);
struct fake_broker *fake_of(struct broker *broker);
