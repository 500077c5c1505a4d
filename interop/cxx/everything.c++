#include "everything.h"

#include <kj/debug.h>
#include <kj/vector.h>

#include <cstring>

#include "support.h"

// Fields whose getter gives a plain value.
#define EACH_SCALAR(X)                                                                                          \
  X(Flag) X(Int8) X(Int16) X(Int32) X(Int64) X(Uint8) X(Uint16) X(Uint32) X(Uint64) X(Float32) X(Float64)       \
  X(Color) X(DefaultFlag) X(DefaultInt) X(DefaultLong) X(DefaultFloat) X(DefaultColor)

#define EACH_BLOB(X) X(Text) X(Data) X(DefaultText) X(DefaultData)

// Lists whose elements have a plain setter.
#define EACH_LIST(X)                                                                                            \
  X(Voids) X(Flags) X(Int8s) X(Int16s) X(Int32s) X(Int64s) X(Uint8s) X(Uint16s) X(Uint32s) X(Uint64s)           \
  X(Float32s) X(Float64s) X(Texts) X(Datas) X(Colors) X(DefaultInts)

#define EACH_POINT(X) X(Point) X(DefaultPoint)

namespace capstan {

using interop::Everything;
using interop::Node;
using interop::Point;
using interop::Sample;

namespace {

Everything::Reader constantOf(Sample sample) {
  switch (sample) {
    case Sample::EMPTY: return Everything::Reader();
    case Sample::ORDINARY: return *interop::ORDINARY;
    case Sample::EXTREME: return *interop::EXTREME;
  }
  KJ_FAIL_REQUIRE("unknown sample", static_cast<uint>(sample));
}

// ---------------------------------------------------------------------------------------------- writing

void writePoint(Point::Builder to, Point::Reader from) {
  to.setX(from.getX());
  to.setY(from.getY());
  to.setLabel(from.getLabel());
}

template <typename Builder, typename Reader>
void writeList(Builder to, Reader from) {
  for (uint i = 0; i < from.size(); i++) to.set(i, from[i]);
}

void writeChoice(Everything::Choice::Builder to, Everything::Choice::Reader from) {
  switch (from.which()) {
    case Everything::Choice::NONE: to.setNone(); break;
    case Everything::Choice::NUMBER: to.setNumber(from.getNumber()); break;
    case Everything::Choice::WORDS: to.setWords(from.getWords()); break;
    case Everything::Choice::PLACE: {
      auto place = to.initPlace();
      place.setRow(from.getPlace().getRow());
      place.setColumn(from.getPlace().getColumn());
      break;
    }
    case Everything::Choice::SPOT: writePoint(to.initSpot(), from.getSpot()); break;
  }
}

// ---------------------------------------------------------------------------------------------- comparing

// Floating point numbers are compared by their bits, so that a NaN equals itself and zeros differ by sign.
bool same(float a, float b) { return memcmp(&a, &b, sizeof(a)) == 0; }
bool same(double a, double b) { return memcmp(&a, &b, sizeof(a)) == 0; }

template <typename T>
bool same(T a, T b) {
  return a == b;
}

template <typename T>
bool sameList(T a, T b) {
  if (a.size() != b.size()) return false;
  for (uint i = 0; i < a.size(); i++) {
    if (!same(a[i], b[i])) return false;
  }
  return true;
}

bool samePoint(Point::Reader a, Point::Reader b) {
  return a.getX() == b.getX() && a.getY() == b.getY() && a.getLabel() == b.getLabel();
}

bool sameChoice(Everything::Choice::Reader a, Everything::Choice::Reader b) {
  if (a.which() != b.which()) return false;
  switch (a.which()) {
    case Everything::Choice::NONE: return true;
    case Everything::Choice::NUMBER: return a.getNumber() == b.getNumber();
    case Everything::Choice::WORDS: return a.getWords() == b.getWords();
    case Everything::Choice::PLACE:
      return a.getPlace().getRow() == b.getPlace().getRow() && a.getPlace().getColumn() == b.getPlace().getColumn();
    case Everything::Choice::SPOT: return samePoint(a.getSpot(), b.getSpot());
  }
  return false;
}

#define SAME(condition, name) KJ_REQUIRE(condition, "a field has another value than its sample", name)

kj::Promise<void> checkPath(Node::Client node, kj::StringPtr expected) {
  return node.pathRequest().send().then([expected](auto&& response) {
    SAME(response.getPath() == expected, "path of an object");
  });
}

// The fields that a constant cannot hold.
kj::Promise<void> checkPointers(Everything::Reader value) {
  SAME(value.hasObject() && value.getObjects().size() == 3, "object");
  SAME(value.getAnyPointer().getAs<capnp::Text>() == "any", "anyPointer");
  SAME(value.getAnyStruct().as<Point>().getX() == 7, "anyStruct");
  auto list = value.getAnyList().as<capnp::List<int32_t>>();
  SAME(list.size() == 3 && list[0] == 1 && list[1] == 2 && list[2] == 3, "anyList");

  kj::Vector<kj::Promise<void>> paths;
  paths.add(checkPath(value.getObject(), "field"));
  auto objects = value.getObjects();
  paths.add(checkPath(objects[0], "0"));
  paths.add(checkPath(objects[2], "2"));
  Node::Client middle = objects[1];
  paths.add(middle.pathRequest().send().then(
      [](auto&&) { KJ_FAIL_REQUIRE("a null capability answered"); }, [](kj::Exception&&) {}));
  return kj::joinPromises(paths.releaseAsArray());
}

}  // namespace

void writeSample(Everything::Builder to, Sample sample, MakeNode makeNode) {
  if (sample == Sample::EMPTY) return;
  auto from = constantOf(sample);

#define WRITE(Name) to.set##Name(from.get##Name());
  EACH_SCALAR(WRITE)
  EACH_BLOB(WRITE)
#undef WRITE
#define WRITE(Name) writeList(to.init##Name(from.get##Name().size()), from.get##Name());
  EACH_LIST(WRITE)
#undef WRITE
#define WRITE(Name) writePoint(to.init##Name(), from.get##Name());
  EACH_POINT(WRITE)
#undef WRITE

  auto points = to.initPoints(from.getPoints().size());
  for (uint i = 0; i < points.size(); i++) writePoint(points[i], from.getPoints()[i]);
  auto matrix = to.initMatrix(from.getMatrix().size());
  for (uint i = 0; i < matrix.size(); i++) {
    auto row = from.getMatrix()[i];
    writeList(matrix.init(i, row.size()), row);
  }
  auto location = to.getLocation();
  location.setLatitude(from.getLocation().getLatitude());
  location.setName(from.getLocation().getName());
  writeChoice(to.getChoice(), from.getChoice());
  auto boxed = to.initBoxed();
  boxed.setFirst(from.getBoxed().getFirst());
  writePoint(boxed.initSecond(), from.getBoxed().getSecond());

  to.setObject(makeNode("field"));
  auto objects = to.initObjects(3);
  objects.set(0, makeNode("0"));
  objects.set(2, makeNode("2"));
  to.getAnyPointer().setAs<capnp::Text>("any");
  to.initAnyStructAs<Point>().setX(7);
  auto list = to.initAnyListAs<capnp::List<int32_t>>(3);
  for (uint i = 0; i < 3; i++) list.set(i, i + 1);
}

kj::Promise<void> checkSample(Everything::Reader value, Sample sample) {
  auto expected = constantOf(sample);

#define CHECK(Name) SAME(same(value.get##Name(), expected.get##Name()), #Name);
  EACH_SCALAR(CHECK)
  EACH_BLOB(CHECK)
#undef CHECK
#define CHECK(Name) SAME(sameList(value.get##Name(), expected.get##Name()), #Name);
  EACH_LIST(CHECK)
#undef CHECK
#define CHECK(Name) SAME(samePoint(value.get##Name(), expected.get##Name()), #Name);
  EACH_POINT(CHECK)
#undef CHECK

  SAME(value.getPoints().size() == expected.getPoints().size(), "Points");
  for (uint i = 0; i < expected.getPoints().size(); i++) {
    SAME(samePoint(value.getPoints()[i], expected.getPoints()[i]), "Points");
  }
  SAME(value.getMatrix().size() == expected.getMatrix().size(), "Matrix");
  for (uint i = 0; i < expected.getMatrix().size(); i++) {
    SAME(sameList(value.getMatrix()[i], expected.getMatrix()[i]), "Matrix");
  }
  SAME(same(value.getLocation().getLatitude(), expected.getLocation().getLatitude()), "Location");
  SAME(value.getLocation().getName() == expected.getLocation().getName(), "Location");
  SAME(sameChoice(value.getChoice(), expected.getChoice()), "Choice");
  SAME(value.getBoxed().getFirst() == expected.getBoxed().getFirst(), "Boxed");
  SAME(samePoint(value.getBoxed().getSecond(), expected.getBoxed().getSecond()), "Boxed");

  if (sample != Sample::EMPTY) return checkPointers(value);
  SAME(!value.hasObject() && !value.hasObjects(), "object");
  SAME(!value.hasAnyPointer() && !value.hasAnyStruct() && !value.hasAnyList(), "anyPointer");
  return kj::READY_NOW;
}

}  // namespace capstan
