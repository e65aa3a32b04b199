/* Serves a port with a setting that is wrong, so that it is not there:  settings PORT */
#include "kit.h"

int main(int argc, char **argv) {
	assert(argc == 2);
	snow_ws_serve(NULL, NULL, NULL, NULL, NULL, NULL, atoll(argv[1]));
	assert(snow_ws_stop(atoll(argv[1]), 0) == -1);
	assert(snow_ws_broadcast(S("room"), S("message")) == 0);
	return 0;
}
