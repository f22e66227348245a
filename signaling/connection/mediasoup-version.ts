/** The media nodes' mediasoup, as clients are told on connect. A test keeps it equal to the installed package. */
export const mediasoupVersion = '3.27.1';
