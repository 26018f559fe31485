/*
 * A client's end of one connection, for workloads: queues what is to be sent, collects what arrives. It acts only while
 * its io is run; callbacks are not needed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <odradek/io.h>

enum sim_client_state { SIM_CLIENT_CONNECTING, SIM_CLIENT_OPEN, SIM_CLIENT_ENDED };

struct sim_client;

/* Starts to connect. io must be kept until sim_client_free. */
struct sim_client *sim_client_new(struct odk_io *io, const struct odk_addr *to);
/* In any state; what is in flight is shut down and freed when the io has reported it. */
void sim_client_free(struct sim_client *client);
/* Instead of sim_client_free, after sim_io_free of its io: nothing can be in flight any more. */
void sim_client_drop(struct sim_client *client);
enum sim_client_state sim_client_state(const struct sim_client *client);
/* How it ended: 0 the peer finished, else a negative errno. */
int32_t sim_client_error(const struct sim_client *client);
/* Copies; sent in order once connected. Ignored when ended. */
void sim_client_send(struct sim_client *client, const void *data, size_t len);
/* Bytes queued that the network has not taken. */
size_t sim_client_unsent(const struct sim_client *client);
/* What has arrived and was not consumed. */
const uint8_t *sim_client_received(const struct sim_client *client, size_t *ret_len);
void sim_client_consume(struct sim_client *client, size_t len);
/* The first frame (four bytes of length, big endian, then so many), or NULL while it is not whole. */
const uint8_t *sim_client_frame(const struct sim_client *client, size_t *ret_len);
/* Stops and starts reading: a slow reader. */
void sim_client_pause(struct sim_client *client, bool paused);
