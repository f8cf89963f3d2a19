/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_states.h -- the states of a deployment on a device, as one table: the agent's machine, the
 * hub's words and the kill matrix in the tests are all made from it.
 *
 *   IDLE -> RECEIVED -> VERIFIED -> FETCHING -> STAGED -> SWITCHING -> TRIAL -> CONFIRMED
 *               |           |          |          |           |         |
 *            REJECTED    REJECTED    FAILED     FAILED      ROLLING_BACK -> ROLLED_BACK
 *                                                               '-> INCONSISTENT
 *   A newer document before SWITCHING ends the one in work: SUPERSEDED.
 *
 * X(state, entered, deadline_s, on_kill, on_error, meaning)
 *   entered     JOURNAL: written to the journal before the state's work begins; MEMORY: not
 *               written, a restart finds the state before it
 *   deadline_s  after it the state counts as failed; 0: none, or set by the document (TRIAL)
 *   on_kill     what the next start of the agent does with the state it finds in the journal:
 *               STAY     nothing is under way
 *               AGAIN    do the state's work again from its beginning (it is idempotent)
 *               FORWARD  finish the switch that the journal names
 *               COUNT    begin the trial again; after three such starts, go back
 *               BACK     finish the way back
 *   on_error    the state that follows a failure */
#ifndef FLEET_DEPLOY_STATES_H
#define FLEET_DEPLOY_STATES_H

#define FLEET_DEPLOY_STATES(X)                                                                     \
    X(IDLE, MEMORY, 0, STAY, IDLE, "nothing newer is known")                                       \
    X(RECEIVED, JOURNAL, 60, AGAIN, REJECTED, "a newer signed document is stored")                 \
    X(VERIFIED, JOURNAL, 60, AGAIN, FAILED, "it may be installed; space is checked")               \
    X(FETCHING, JOURNAL, 0, AGAIN, FAILED, "its blobs are being fetched")                          \
    X(STAGED, JOURNAL, 120, AGAIN, FAILED, "its generation folder is complete")                    \
    X(SWITCHING, JOURNAL, 120, FORWARD, ROLLING_BACK, "current points to it; units change")        \
    X(TRIAL, JOURNAL, 0, COUNT, ROLLING_BACK, "it runs and is watched")                            \
    X(CONFIRMED, JOURNAL, 0, STAY, CONFIRMED, "it held")                                           \
    X(REJECTED, JOURNAL, 0, STAY, REJECTED, "it is not for this device, or is over a limit")       \
    X(FAILED, JOURNAL, 0, STAY, FAILED, "it could not be prepared; the old one runs on")           \
    X(ROLLING_BACK, JOURNAL, 120, BACK, INCONSISTENT, "the generation before comes back")          \
    X(ROLLED_BACK, JOURNAL, 0, STAY, ROLLED_BACK, "the generation before runs again")              \
    X(INCONSISTENT, JOURNAL, 0, STAY, INCONSISTENT, "the way back failed too; the agent answers")  \
    X(SUPERSEDED, MEMORY, 0, STAY, IDLE, "a newer document came before the switch")

enum fleet_deploy_state {
#define FLEET_STATE_ENUM(name, entered, deadline_s, on_kill, on_error, meaning) FLEET_STATE_##name,
    FLEET_DEPLOY_STATES(FLEET_STATE_ENUM)
#undef FLEET_STATE_ENUM
        FLEET_STATE_COUNT
};

enum fleet_entered { FLEET_ENTERED_MEMORY, FLEET_ENTERED_JOURNAL };
enum fleet_on_kill {
    FLEET_KILL_STAY,
    FLEET_KILL_AGAIN,
    FLEET_KILL_FORWARD,
    FLEET_KILL_COUNT,
    FLEET_KILL_BACK
};

struct fleet_state_row {
    const char *name;
    enum fleet_entered entered;
    int deadline_s;
    enum fleet_on_kill on_kill;
    enum fleet_deploy_state on_error;
    const char *meaning;
};

/* The row of a state; the last one for a number that is none. */
const struct fleet_state_row *fleet_state_row(enum fleet_deploy_state state);

/* "TRIAL" -> FLEET_STATE_TRIAL; FLEET_STATE_COUNT for what is no state. */
enum fleet_deploy_state fleet_state_parse(const char *name);

#endif
