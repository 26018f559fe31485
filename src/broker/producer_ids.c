#include "broker/producer_ids.h"

#include "broker/broker_internal.h"

void producer_ids_init(struct producer_ids *ids)
{
    *ids = (struct producer_ids){ 0 };
    list_init(&ids->waiting);
}

static void producer_ids_ask(struct broker *broker);

static void producer_ids_on_block(struct controller_op *op, struct broker *at)
{
    struct producer_ids *ids = container_of(op, struct producer_ids, op);
    struct list waiting;
    list_init(&waiting);
    list_splice(&waiting, &ids->waiting);
    ids->asked = false;
    if (op->err == ODK_OK) {
        ids->next = op->first_id;
        ids->end = op->first_id + PRODUCER_ID_BLOCK;
    }
    for (struct list *node; (node = list_pop_front(&waiting)) != NULL;) {
        struct producer_id_waiter *waiter = list_entry(node, struct producer_id_waiter, node);
        if (op->err != ODK_OK)
            waiter->got(waiter, -1);
        else
            producer_ids_take(at, waiter);
    }
}

static void producer_ids_ask(struct broker *broker)
{
    struct producer_ids *ids = &broker->producer_ids;
    ids->asked = true;
    ids->op = (struct controller_op){ .kind = CONTROLLER_PRODUCER_IDS, .done = producer_ids_on_block };
    controller_submit(broker, &ids->op);
}

void producer_ids_take(struct broker *broker, struct producer_id_waiter *waiter)
{
    struct producer_ids *ids = &broker->producer_ids;
    if (ids->next < ids->end) {
        waiter->got(waiter, ids->next++);
        return;
    }
    list_push_back(&ids->waiting, &waiter->node);
    if (!ids->asked)
        producer_ids_ask(broker);
}
