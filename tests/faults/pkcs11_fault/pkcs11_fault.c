/* A PKCS#11 module that is another one, with faults.
 *
 * It loads the module named by PKCS11_FAULT_REAL, and does what files in the directory PKCS11_FAULT_CONTROL say:
 * a file called after a fault holds "<value> <times>", times -1 meaning always. Every login and signature is logged
 * there in the file "log". SoftHSM never locks a PIN, loses a device or is slow; this does.
 *
 *   initialize, login, sign, open   answer with this CK_RV (open: to read-write sessions only)
 *   hang                            C_Sign sleeps that many seconds
 *   slow                            C_Sign sleeps that many milliseconds
 *   slow-login                      C_Login sleeps that many milliseconds
 *   flip                            C_Sign flips a bit of the result
 *   other-key                       C_SignInit takes another private key than asked
 *   crash                           C_Sign ends the process with SIGSEGV
 *   gone                            there are no slots, and C_Sign answers CKR_TOKEN_NOT_PRESENT
 *   hide                            this mechanism is not listed
 *   no-copyable                     C_GenerateKeyPair does not know CKA_COPYABLE
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

typedef unsigned long ck;
typedef unsigned char byte;
typedef struct { ck type; void *value; ck length; } attribute;
/* CK_FUNCTION_LIST of PKCS#11 2.40: a version and 68 functions, used here by their place in it. */
typedef struct { byte major, minor; void *call[68]; } functions;
enum { INITIALIZE = 0, GET_FUNCTION_LIST = 3, GET_SLOT_LIST = 4, GET_MECHANISM_LIST = 7, OPEN_SESSION = 12, LOGIN = 18,
       FIND_INIT = 26, FIND = 27, FIND_FINAL = 28, SIGN_INIT = 42, SIGN = 43, GENERATE_KEY_PAIR = 59 };

static functions *real;
static functions mine;
#define REAL(place, ...) ((ck (*)(__VA_ARGS__))real->call[place])

static int in_control(char *path, size_t size, const char *name) {
    const char *control = getenv("PKCS11_FAULT_CONTROL");
    return control && snprintf(path, size, "%s/%s", control, name) < (int)size;
}

static void note(const char *event) {
    char path[4096];
    if (!in_control(path, sizeof path, "log")) return;
    FILE *file = fopen(path, "a");
    if (!file) return;
    fprintf(file, "%d %s\n", (int)getpid(), event);
    fclose(file);
}

/* The value of a fault, or 0; one of its times is used up. */
static ck take(const char *name) {
    char path[4096], text[64] = "";
    if (!in_control(path, sizeof path, name)) return 0;
    int fd = open(path, O_RDWR);
    if (fd < 0) return 0;
    flock(fd, LOCK_EX);
    ck value = 0;
    long times = 0;
    if (read(fd, text, sizeof text - 1) > 0 && sscanf(text, "%li %ld", (long *)&value, &times) == 2 && times) {
        if (times > 0 && ftruncate(fd, 0) == 0) {
            int length = snprintf(text, sizeof text, "%lu %ld", value, times - 1);
            if (pwrite(fd, text, length, 0) != length) value = 0;
        }
    } else {
        value = 0;
    }
    close(fd);
    return value;
}

static ck initialize(void *arguments) {
    ck answer = take("initialize");
    return answer ? answer : REAL(INITIALIZE, void *)(arguments);
}

static ck get_slot_list(byte present, ck *slots, ck *count) {
    if (take("gone")) {
        *count = 0;
        return 0;
    }
    return REAL(GET_SLOT_LIST, byte, ck *, ck *)(present, slots, count);
}

static ck get_mechanism_list(ck slot, ck *list, ck *count) {
    ck all[1024], size = 1024, kept = 0, hidden = take("hide");
    ck answer = REAL(GET_MECHANISM_LIST, ck, ck *, ck *)(slot, all, &size);
    if (answer) return answer;
    for (ck i = 0; i < size; i++) {
        if (hidden && all[i] == hidden) continue;
        if (list && kept < *count) list[kept] = all[i];
        kept++;
    }
    *count = kept;
    return 0;
}

static ck open_session(ck slot, ck flags, void *context, void *notify, ck *session) {
    ck answer = flags & 2 ? take("open") : 0;
    return answer ? answer : REAL(OPEN_SESSION, ck, ck, void *, void *, ck *)(slot, flags, context, notify, session);
}

static ck login(ck session, ck user, byte *pin, ck length) {
    note("login");
    ck milliseconds = take("slow-login");
    if (milliseconds) usleep(milliseconds * 1000);
    ck answer = take("login");
    if (!answer) answer = REAL(LOGIN, ck, ck, byte *, ck)(session, user, pin, length);
    note("login-done");
    return answer;
}

static ck another_key(ck session, ck asked) {
    ck class = 3 /* CKO_PRIVATE_KEY */, found[16], count = 0;
    attribute wanted = {0, &class, sizeof class};
    if (REAL(FIND_INIT, ck, attribute *, ck)(session, &wanted, 1)) return asked;
    REAL(FIND, ck, ck *, ck, ck *)(session, found, 16, &count);
    REAL(FIND_FINAL, ck)(session);
    for (ck i = 0; i < count; i++)
        if (found[i] != asked) return found[i];
    return asked;
}

static ck sign_init(ck session, void *mechanism, ck key) {
    if (take("other-key")) key = another_key(session, key);
    return REAL(SIGN_INIT, ck, void *, ck)(session, mechanism, key);
}

static ck sign(ck session, byte *data, ck length, byte *signature, ck *size) {
    if (!signature) return REAL(SIGN, ck, byte *, ck, byte *, ck *)(session, data, length, signature, size);
    note("sign");
    if (take("gone")) return 0xE0; /* CKR_TOKEN_NOT_PRESENT */
    if (take("crash")) raise(SIGSEGV);
    ck seconds = take("hang"), milliseconds = take("slow");
    if (seconds) sleep(seconds);
    if (milliseconds) usleep(milliseconds * 1000);
    ck answer = take("sign");
    if (answer) return answer;
    answer = REAL(SIGN, ck, byte *, ck, byte *, ck *)(session, data, length, signature, size);
    if (!answer && take("flip")) signature[*size / 2] ^= 1;
    return answer;
}

static ck generate_key_pair(ck session, void *mechanism, attribute *public, ck publics, attribute *private,
                            ck privates, ck *one, ck *other) {
    int copyable = 0;
    for (ck i = 0; i < privates; i++) copyable |= private[i].type == 0x171; /* CKA_COPYABLE */
    if (copyable && take("no-copyable")) return 0x12;                        /* CKR_ATTRIBUTE_TYPE_INVALID */
    return REAL(GENERATE_KEY_PAIR, ck, void *, attribute *, ck, attribute *, ck, ck *, ck *)(
        session, mechanism, public, publics, private, privates, one, other);
}

ck C_GetFunctionList(functions **list);

ck C_GetFunctionList(functions **list) {
    const char *path = getenv("PKCS11_FAULT_REAL");
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    ck (*get)(functions **) = module ? (ck (*)(functions **))dlsym(module, "C_GetFunctionList") : NULL;
    if (!get || get(&real)) return 5; /* CKR_GENERAL_ERROR */
    mine = *real;
    mine.call[INITIALIZE] = initialize;
    mine.call[GET_FUNCTION_LIST] = C_GetFunctionList;
    mine.call[GET_SLOT_LIST] = get_slot_list;
    mine.call[GET_MECHANISM_LIST] = get_mechanism_list;
    mine.call[OPEN_SESSION] = open_session;
    mine.call[LOGIN] = login;
    mine.call[SIGN_INIT] = sign_init;
    mine.call[SIGN] = sign;
    mine.call[GENERATE_KEY_PAIR] = generate_key_pair;
    *list = &mine;
    return 0;
}
